//! The commands on a schema, which every service has.

use std::io::Write as _;

use sea_orm_migration::MigratorTrait;

use crate::{Database, DatabaseOptions, SchemaRange, StorageError, migrate, migrate::SchemaStatus, open_reader};

/// Change the database's schema, or show it.
#[derive(Debug, clap::Subcommand)]
pub enum MigrateCommand {
    /// Apply the migrations the database lacks; binaries of the release before go on running.
    Up(DatabaseOptions),
    /// End the compatibility with binaries older than this one. There is no way back.
    Contract(DatabaseOptions),
    /// Show the schema and which binaries it serves.
    Status(DatabaseOptions),
}

impl MigrateCommand {
    /// Does so to the database of the service `name`, and prints the schema as a line of JSON.
    pub async fn run<M: MigratorTrait>(&self, name: &str, range: SchemaRange) -> Result<(), StorageError> {
        let SchemaStatus { schema_version, compatible_from } = match self {
            Self::Up(options) => with_database(name, options, async |db| migrate::up::<M>(db, range).await).await?,
            Self::Contract(options) => {
                with_database(name, options, async |db| migrate::contract(db, range).await).await?
            }
            Self::Status(options) => migrate::status(&open_reader(name, options).await?).await?,
        };
        // The exit code says that it is done. Nothing is left to do when stdout is gone.
        let _ = writeln!(
            std::io::stdout(),
            "{{\"schema_version\":{schema_version},\"compatible_from\":{compatible_from}}}"
        );
        Ok(())
    }
}

/// Opens the database of the service `name` for a command, and closes it again whatever came of the work. It fails while a
/// server has a SQLite file.
pub async fn with_database<T, E: From<StorageError>>(
    name: &str,
    options: &DatabaseOptions,
    work: impl AsyncFnOnce(&Database) -> Result<T, E>,
) -> Result<T, E> {
    let database = Database::open_for_command(name, options).await?;
    let done = work(&database).await;
    database.close().await?;
    done
}
