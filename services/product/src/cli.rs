//! The command line.

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use shop_server::{Healthcheck, Shutdown, TelemetryOptions};
use shop_storage::{Database, DatabaseOptions, migrate};

use crate::{NAME, Options, migration, start};

/// The catalogue and the stock ledger of a shop.
#[derive(Debug, Parser)]
#[command(name = "shop-product", version)]
pub struct Cli {
    #[command(flatten)]
    telemetry: TelemetryOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve gRPC.
    Serve(Box<Options>),
    /// Exit with 0 if the process that runs beside it is ready: for containers without a client in them.
    Healthcheck(Healthcheck),
    /// Change the database's schema, or show it.
    #[command(subcommand)]
    Migrate(Migrate),
}

#[derive(Debug, Subcommand)]
enum Migrate {
    /// Apply the migrations the database lacks; binaries of the release before go on running.
    Up(DatabaseOptions),
    /// End the compatibility with binaries older than this one. There is no way back.
    Contract(DatabaseOptions),
    /// Show the schema and which binaries it serves.
    Status(DatabaseOptions),
}

impl Cli {
    /// Does what the command says.
    pub fn run(self) -> ExitCode {
        let telemetry = self.telemetry;
        match self.command {
            Command::Serve(options) => shop_server::run(NAME, telemetry, |shutdown| serve(*options, shutdown)),
            Command::Healthcheck(healthcheck) => healthcheck.run(),
            Command::Migrate(command) => shop_server::run(NAME, telemetry, |_shutdown| run_migrate(command)),
        }
    }
}

async fn serve(options: Options, shutdown: Shutdown) -> anyhow::Result<()> {
    start(options, &shutdown).await?.join().await.context("the server failed")
}

async fn run_migrate(command: Migrate) -> anyhow::Result<()> {
    let status = match command {
        Migrate::Up(options) => {
            with_database(&options, async |db| migrate::up::<migration::Migrator>(db, migration::SCHEMA).await).await?
        }
        Migrate::Contract(options) => {
            with_database(&options, async |db| migrate::contract(db, migration::SCHEMA).await).await?
        }
        Migrate::Status(options) => migrate::status(&shop_storage::open_reader(NAME, &options).await?).await?,
    };
    let (schema, oldest) = (status.schema_version, status.compatible_from);
    writeln!(std::io::stdout(), "{{\"schema_version\":{schema},\"compatible_from\":{oldest}}}")?;
    Ok(())
}

/// Opens the database, which fails while a server has it, and closes it again.
async fn with_database<T>(
    options: &DatabaseOptions,
    work: impl AsyncFnOnce(&Database) -> Result<T, shop_storage::StorageError>,
) -> anyhow::Result<T> {
    let database = Database::open_for_command(NAME, options).await?;
    let done = work(&database).await?;
    database.close().await?;
    Ok(done)
}
