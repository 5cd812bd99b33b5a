//! The user service: accounts, sessions, addresses, and the feed of revoked credentials.
//!
//! `grpc` (the contracts) → `app` (use cases) → `domain` (rules) → `store` and `migration` (the database).

mod app;
mod cli;
mod domain;
mod grpc;
mod keys;
mod migration;
mod options;
mod start;
mod store;

pub use cli::Cli;
pub use options::{DEFAULT_ACCESS_TOKEN_TTL, Options, parse_access_token_ttl};
pub use start::{create_admin, has_admin, migrate_up, start};

/// The service's name: in tokens, in `x-shop-target`, in logs, and of its database.
pub const NAME: &str = "user";
