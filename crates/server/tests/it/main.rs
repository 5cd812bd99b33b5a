//! The harness through its public interface: real sockets on free ports, generated services behind it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in what its functions share too")]

mod cli;
mod client;
mod connections;
mod drain;
mod grpc;
mod http;
mod probes;
mod process;
mod service;
mod tasks;
mod traces;

use std::time::Duration;

/// Bounds every wait: far above what a loaded machine needs, far below a hung run.
const PATIENCE: Duration = Duration::from_secs(10);

/// Awaits what must happen.
async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} did not happen in time"))
}
