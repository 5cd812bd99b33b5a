//! The command line.

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};
use shop_server::{Healthcheck, Lasting, TelemetryOptions};
use shop_storage::MigrateCommand;

use crate::{NAME, Options, domain, migration, start};

/// The orders of a shop.
#[derive(Debug, Parser)]
#[command(name = "shop-order", version)]
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
    /// Print the states and the saga of an order as Markdown: docs/order-states.md.
    States,
}

impl Cli {
    /// Does what the command says.
    pub fn run(self) -> ExitCode {
        let telemetry = self.telemetry;
        match self.command {
            Command::Serve(options) => shop_server::run(NAME, telemetry, |shutdown| async move {
                shop_server::serve(Box::pin(start(*options, &shutdown))).await
            }),
            Command::Healthcheck(healthcheck) => healthcheck.run(),
            Command::Migrate(command) => shop_server::run(NAME, telemetry, |_shutdown| async move {
                let done = command.run::<migration::Migrator>(NAME, migration::SCHEMA).await;
                done.map_err(|error| Lasting::if_so(error.is_lasting(), error))
            }),
            Command::States => match std::io::stdout().write_all(domain::document().as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_closed) => ExitCode::FAILURE,
            },
        }
    }
}
