//! The command line of `shop-gateway`.

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};
use shop_server::TelemetryOptions;

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
            Command::Openapi => match std::io::stdout().write_all(openapi::text().as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            },
        }
    }
}
