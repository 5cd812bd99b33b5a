//! What every process of the shop is started with: command line, telemetry, the gRPC and HTTP harness, probes and
//! metrics on the admin port, deadlines, trace propagation, and the order in which a process leaves.
//!
//! No business rule and no identity lives here: the access layer is handed in by the service.

mod admin;
mod cli;
mod connections;
pub mod deadline;
mod exit;
mod grpc;
mod healthcheck;
mod http;
mod listener;
mod options;
pub mod propagation;
mod readiness;
mod run;
mod running;
mod shutdown;
mod telemetry;
mod throttle;
pub mod tls;

pub use admin::AdminServer;
pub use cli::{UsageError, parse, try_parse_from};
pub use exit::{EX_DATAERR, EX_USAGE, Lasting};
pub use grpc::GrpcServer;
pub use healthcheck::Healthcheck;
pub use http::{HttpLimits, HttpServer, ObserveHttp, Peer, address_block};
pub use listener::ServerError;
pub use options::{MAX_MESSAGE_BYTES, ServerOptions};
pub use readiness::{Gate, Readiness};
pub use run::{run, serve};
pub use running::{Addresses, Running};
pub use shutdown::{LeftEarly, Shutdown};
pub use telemetry::{
    LogFormat, Telemetry, TelemetryError, TelemetryOptions, install as install_telemetry, installed as telemetry,
};
pub use tls::{Tls, TlsOptions};
