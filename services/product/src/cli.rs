//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sea_orm_migration::MigratorTrait;
use shop_server::{Healthcheck, Lasting, TelemetryOptions};
use shop_storage::{MigrateCommand, SchemaRange};

use crate::{
    NAME, Options,
    migration::{Migrator, SCHEMA},
    start::start_on,
};

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
    Migrate(MigrateCommand),
}

impl Cli {
    /// Does what the command says.
    pub fn run(self) -> ExitCode {
        self.run_on::<Migrator>(SCHEMA)
    }

    /// Does it as a binary with other migrations, a later version for example.
    pub fn run_on<M: MigratorTrait>(self, schema: SchemaRange) -> ExitCode {
        let telemetry = self.telemetry;
        match self.command {
            Command::Serve(options) => shop_server::run(NAME, telemetry, |shutdown| async move {
                shop_server::serve(Box::pin(start_on(*options, schema, &shutdown))).await
            }),
            Command::Healthcheck(healthcheck) => healthcheck.run(),
            Command::Migrate(command) => shop_server::run(NAME, telemetry, |_shutdown| async move {
                let done = command.run::<M>(NAME, schema).await;
                done.map_err(|error| Lasting::if_so(error.is_lasting(), error))
            }),
        }
    }
}
