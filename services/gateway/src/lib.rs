//! The gateway: turns the REST interface into calls of the services. It judges who calls, reads and bounds what they send,
//! and renders what the services answer; it has no business rules of its own.

mod cache;
mod cli;
mod edge;
mod events;
mod extract;
pub mod openapi;
mod options;
mod problem;
mod problem_types;
mod rest;
mod routes;
mod server;
mod state;

pub use cli::Cli;
pub use options::{EdgeOptions, Options, UpstreamOptions};
pub use server::start;

/// The service's name in tokens, targets and telemetry.
pub const NAME: &str = "gateway";
