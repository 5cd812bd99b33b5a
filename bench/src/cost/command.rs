//! The command line of `bench`.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use shop_types::parse_duration;

use super::{
    figure::Table,
    floor::{Floor, FloorCommand},
    measures::{Bench, floor},
    shop::{Folder, Shop, Visitors},
};

/// A gate was missed.
const MISSED: u8 = 1;
/// The benchmark could not be carried out.
const UNUSABLE: u8 = 2;
/// Customers that order, each one order at a time.
const CUSTOMERS: usize = 64;

/// Measures what the shop costs, and judges it by the gates. Takes the machine for some three minutes.
///
/// Starts the release binaries that lie beside this one, on data of their own. Exits 0 if every gate holds, 1 if one does
/// not, 2 if something could not be measured, 64 if the command is wrong.
#[derive(Debug, Parser)]
#[command(name = "bench", version, args_conflicts_with_subcommands = true)]
pub struct BenchCommand {
    #[command(flatten)]
    options: BenchOptions,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct BenchOptions {
    /// Times that what is compared takes turns.
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// How long each turn is.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = parse_duration)]
    turn: Duration,
    /// Products of the catalogue: so many that none is read again while it is kept, which is for a second.
    #[arg(long, value_name = "COUNT", default_value_t = 30_000)]
    products: usize,
    /// Write the figures as JSON to this file, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves one of the floors; the benchmark starts them.
    #[command(hide = true)]
    Floor(Box<FloorCommand>),
}

impl BenchCommand {
    /// Does it.
    pub fn run(self) -> ExitCode {
        if let Some(Command::Floor(command)) = self.command {
            let FloorCommand { telemetry, floor } = *command;
            return shop_server::run("product", telemetry, |shutdown| floor.serve(shutdown));
        }
        let outcome = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(anyhow::Error::from);
        match outcome.and_then(|runtime| runtime.block_on(self.options.carry_out())) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(MISSED),
            Err(error) => {
                // Nothing is left to do when stderr is gone.
                let _ = writeln!(io::stderr(), "error: {error:#}");
                ExitCode::from(UNUSABLE)
            }
        }
    }
}

impl BenchOptions {
    /// Whether every gate holds.
    async fn carry_out(&self) -> anyhow::Result<bool> {
        say("Filling a shop")?;
        let (folder, embedded_mib) = Folder::fill(self.products).await?;
        say("Starting its services")?;
        let shop = Shop::start(&folder).await?;
        let visitors = Visitors::prepare(shop.gateway(), CUSTOMERS).await?;
        let mut bench = Bench { folder, shop, visitors, rounds: usize::from(self.rounds), turn: self.turn };

        say("Reads over HTTP")?;
        let body = bench.product_body().await?;
        let (axum, address) = floor(&bench.folder, &Floor::Axum { body }).await?;
        let mut figures = bench.reads(&axum, &address).await?;
        drop(axum);
        say("Calls over gRPC")?;
        figures.extend(bench.calls().await?);
        say("Orders")?;
        figures.extend(bench.orders().await?);
        say("Logins")?;
        figures.extend(bench.logins().await?);
        say("Memory, starts, sizes")?;
        figures.extend(bench.at_rest(embedded_mib).await?);
        bench.shop.leave().await?;

        let table = Table(figures);
        write!(io::stdout(), "{table}")?;
        if let Some(path) = &self.json {
            fs::write(path, serde_json::to_vec_pretty(&table)?)?;
        }
        Ok(table.0.iter().all(super::figure::Figure::holds))
    }
}

fn say(what: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{what} …")
}
