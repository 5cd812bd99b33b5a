//! The order service: orders as sagas over user and product, the money that belongs to them, and the events that tell
//! others.
//!
//! `grpc` (the contracts) → `app` (use cases) → `domain` (rules) → `store` and `migration` (the database). Begin with
//! `domain::status` and `domain::saga`, the two tables that everything follows from, then `app::saga`.

mod app;
pub mod audit;
mod cli;
mod domain;
mod failpoint;
mod grpc;
mod metrics;
mod migration;
mod options;
mod start;
mod store;

pub use cli::Cli;
pub use domain::{Status, Step};
pub use failpoint::failpoints;
pub use options::{Options, parse_event_sink, parse_lease, parse_webhook_secret};
pub use shop_types::parse_payment_timeout;
pub use start::{migrate_up, start};

/// The service's name: in tokens, in `x-shop-target`, in logs, and of its database.
pub const NAME: &str = "order";
