//! What the shop costs: CPU time for each successful request, memory, size, and how long it takes to be ready.
//!
//! CPU time is that of the process, as the kernel counts it, for requests of which every one was answered as it should be.
//! Where a figure is held against a floor (plain axum, plain tonic, bare Argon2), both are measured in turns, so that what
//! else the machine does falls on both, and the verdict goes by their ratio. Nothing is a timed test.
//!
//! ```text
//! Figure ◀─ measures ─▶ Http, Rpc: so many requests under way all the time
//!               └─────▶ Process: the shop's own, and floors, which are processes of this program
//! ```

mod command;
mod figure;
mod floor;
mod http;
mod measures;
mod process;
mod rpc;
mod shop;

pub use command::BenchCommand;
