//! The product service: the catalogue, the stock ledger and the reservations that orders hold.
//!
//! `grpc` (the contracts) → `app` (use cases) → `domain` (rules) → `store` and `migration` (the database).

mod app;
pub mod audit;
mod cli;
mod domain;
mod grpc;
mod migration;
mod options;
mod start;
mod store;

pub use app::{SeedCategory, SeedError, SeedProduct, Seeded, seed};
pub use cli::Cli;
pub use migration::{Migrator, SCHEMA};
pub use options::{LAPSE_INTERVAL, Options};
pub use start::{migrate_up, start};

/// The service's name: in tokens, in `x-shop-target`, in logs, and of its database.
pub const NAME: &str = "product";
