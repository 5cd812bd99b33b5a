//! The gateway: turns the REST interface into calls of the services. It judges who calls, reads and bounds what they send,
//! and renders what the services answer; it has no business rules of its own.

mod cli;
mod edge;
mod extract;
pub mod openapi;
mod options;
mod problem;
mod rest;
mod routes;
mod server;
mod state;

pub use cli::Cli;
pub use options::{Options, UpstreamOptions};
pub use server::start;

/// The service's name in tokens, targets and telemetry.
pub const NAME: &str = "gateway";
