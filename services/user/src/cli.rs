//! The command line.

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};
use secrecy::SecretString;
use shop_server::{Healthcheck, Lasting, TelemetryOptions};
use shop_storage::{DatabaseOptions, MigrateCommand};

use crate::{
    NAME, Options, create_admin, has_admin,
    keys::{self, Keys},
    migration, start,
};

/// The accounts of a shop.
#[derive(Debug, Parser)]
#[command(name = "shop-user", version)]
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
    /// Make an admin in the database of a service that does not run.
    CreateAdmin(CreateAdmin),
    /// Make the keys that the services sign with, or rotate them.
    #[command(subcommand)]
    Keys(Keys),
}

#[derive(Debug, clap::Args)]
struct CreateAdmin {
    /// The admin's e-mail.
    #[arg(long, env = "SHOP_ADMIN_EMAIL", value_name = "EMAIL")]
    admin_email: String,
    /// The admin's password, of 12 to 128 characters. The environment keeps it out of the list of processes.
    #[arg(long, env = "SHOP_ADMIN_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    admin_password: SecretString,
    /// Do nothing where there is an admin already, so that it may be repeated.
    #[arg(long)]
    if_none: bool,
    #[command(flatten)]
    database: DatabaseOptions,
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
            Command::CreateAdmin(command) => shop_server::run(NAME, telemetry, |_shutdown| run_create_admin(command)),
            Command::Keys(command) => shop_server::run(NAME, telemetry, |_shutdown| async move { keys::run(&command) }),
        }
    }
}

async fn run_create_admin(command: CreateAdmin) -> anyhow::Result<()> {
    if command.if_none && has_admin(&command.database).await? {
        return Ok(());
    }
    let id = create_admin(&command.database, &command.admin_email, &command.admin_password).await?;
    writeln!(std::io::stdout(), "{{\"id\":\"{id}\"}}")?;
    Ok(())
}
