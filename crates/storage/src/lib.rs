//! How the services keep data: opening a database, grouped durable writes, migrations with schema compatibility, the
//! database's clock and signed page cursors.
//!
//! What is stored, and every query, belongs to the service that owns it.

pub mod clock;
mod database;
mod error;
pub mod migrate;
mod options;
pub mod page;
mod writer;

pub use database::{Database, open_reader};
pub use error::StorageError;
pub use migrate::SchemaRange;
pub use options::DatabaseOptions;
