//! The commands on a schema, which every service has.

use std::{fs, io::Write as _, path::PathBuf, sync::Arc};

use sea_orm_migration::MigratorTrait;

use crate::{Database, DatabaseOptions, SchemaRange, StorageError, copy, migrate, migrate::SchemaStatus, open_reader};

/// Change the database's schema, or show it.
#[derive(Debug, clap::Subcommand)]
pub enum MigrateCommand {
    /// Apply the migrations the database lacks; binaries of the release before go on running.
    Up(UpOptions),
    /// End the compatibility with binaries older than this one. There is no way back.
    Contract(MigrateOptions),
    /// Show the schema and which binaries it serves.
    Status(MigrateOptions),
}

/// Which database, and who is told.
#[derive(Debug, clap::Args)]
pub struct MigrateOptions {
    #[command(flatten)]
    database: DatabaseOptions,
    /// File that the schema is written to as well, as on the output: a container's termination log, for example.
    #[arg(long, env = "SHOP_MIGRATE_REPORT", value_name = "FILE")]
    report: Option<PathBuf>,
}

/// The same, and what is done before anything changes.
#[derive(Debug, clap::Args)]
pub struct UpOptions {
    #[command(flatten)]
    migrate: MigrateOptions,
    /// File that a SQLite file with an older schema is copied to before it is changed. If the change fails, the copy is put
    /// back.
    #[arg(long, value_name = "FILE")]
    keep_copy: Option<PathBuf>,
}

impl MigrateCommand {
    /// Does so to the database of the service `name`, and prints the schema as a line of JSON.
    pub async fn run<M: MigratorTrait>(&self, name: &str, range: SchemaRange) -> Result<(), StorageError> {
        let (Self::Up(UpOptions { migrate: options, .. }) | Self::Contract(options) | Self::Status(options)) = self;
        let MigrateOptions { database: options, report } = options;
        let status = match self {
            Self::Up(UpOptions { keep_copy: Some(copy), .. }) => copy::up::<M>(name, options, range, copy).await?,
            Self::Up(_) => with_database(name, options, async |db| migrate::up::<M>(db, range).await).await?,
            Self::Contract(_) => with_database(name, options, async |db| migrate::contract(db, range).await).await?,
            Self::Status(_) => migrate::status(&open_reader(name, options).await?).await?,
        };
        let SchemaStatus { schema_version, compatible_from } = status;
        let line = format!("{{\"schema_version\":{schema_version},\"compatible_from\":{compatible_from}}}\n");
        // The exit code says that it is done. Nothing is left to do when stdout is gone.
        let _ = std::io::stdout().write_all(line.as_bytes());
        if let Some(path) = report {
            let written = fs::write(path, line);
            written.map_err(|error| StorageError::File { path: path.clone(), source: Arc::new(error) })?;
        }
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
