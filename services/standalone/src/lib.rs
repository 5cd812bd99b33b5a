//! A whole shop in one process: the four servers on their ports, a data folder, a demo catalogue, and an audit of the
//! data that runs beside them or after them.
//!
//! No business rule lives here: the servers are the very ones that run as processes of their own.

mod announcement;
mod audit;
mod cli;
mod data_dir;
mod demo;
#[cfg(feature = "failpoints")]
mod failpoint;
mod up;

pub use cli::Cli;
