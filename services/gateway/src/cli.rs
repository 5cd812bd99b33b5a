//! The command line of `shop-gateway`.

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};
use shop_server::{Healthcheck, TelemetryOptions};

use crate::{NAME, Options, openapi, start};

/// The shop's HTTP interface.
#[derive(Debug, Parser)]
#[command(name = "shop-gateway", version)]
pub struct Cli {
    #[command(flatten)]
    telemetry: TelemetryOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves until it is told to leave.
    Serve(Box<Options>),
    /// Exits with 0 if the process that runs beside it is ready: for containers without a client in them.
    Healthcheck(Healthcheck),
    /// Prints the OpenAPI document.
    Openapi,
}

impl Cli {
    /// Does what the command line says.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Serve(options) => shop_server::run(NAME, self.telemetry, |shutdown| async move {
                start(*options, &shutdown).await?.join().await?;
                Ok(())
            }),
            Command::Healthcheck(healthcheck) => healthcheck.run(),
            Command::Openapi => match std::io::stdout().write_all(openapi::text().as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            },
        }
    }
}
