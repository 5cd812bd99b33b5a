//! How the services keep data: opening a database (SQLite, PostgreSQL, MySQL or MariaDB), durable writes, migrations with
//! schema compatibility, the database's clock and signed page cursors.
//!
//! What is stored, and every query, belongs to the service that owns it.

pub mod clock;
mod command;
mod copy;
mod database;
mod error;
mod fault;
mod file_readers;
mod insert;
pub mod migrate;
mod options;
pub mod page;
mod reader;
mod server;
mod sqlite;
mod transactions;
mod url;
mod writer;

pub use command::{MigrateCommand, MigrateOptions, UpOptions, with_database};
pub use database::{Database, open_reader, snapshot};
pub use error::{StorageError, WriteError};
pub use insert::insert_new;
pub use migrate::SchemaRange;
pub use options::DatabaseOptions;
pub use reader::Reader;
