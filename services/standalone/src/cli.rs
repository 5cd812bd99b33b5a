//! The command line of `shop`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use secrecy::SecretString;
use shop_server::TelemetryOptions;

use crate::{audit, data_dir::DataDir, up};

/// A whole shop in one process.
#[derive(Debug, Parser)]
// What is worth a line at a terminal is printed; the log is for what goes wrong.
#[command(name = "shop", version, mut_arg("log_level", |argument| argument.default_value("warn")))]
pub struct Cli {
    #[command(flatten)]
    telemetry: TelemetryOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs user, product, order and gateway until Ctrl-C.
    Up(Box<UpOptions>),
    /// Reads the databases and checks every invariant; exits 1 if one is broken. Works beside a running shop.
    Audit(AuditOptions),
    /// Takes the next step in renewing the signing keys. Running servers follow by themselves.
    RotateKeys(DataDirOption),
}

/// How the result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// One line of JSON.
    Json,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DataDirOption {
    /// The folder of databases, keys and secrets.
    #[arg(long, env = "SHOP_DATA_DIR", default_value = "shop-data", value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
}

/// Options of `shop up`.
#[derive(Debug, Clone, Args)]
pub(crate) struct UpOptions {
    /// Where the gateway listens. The services take ports 5001 to 5003 of the same address; with port 0 every port is a
    /// free one.
    #[arg(long, env = "SHOP_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) data_dir: DataDirOption,
    /// The first admin's e-mail.
    #[arg(long, env = "SHOP_ADMIN_EMAIL", default_value = "admin@shop.example", value_name = "EMAIL")]
    pub(crate) admin_email: String,
    /// The first admin's password; generated and printed once when not given. Counts at the first start only.
    #[arg(long, env = "SHOP_ADMIN_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    pub(crate) admin_password: Option<SecretString>,
    /// Leave the catalogue empty.
    #[arg(long, env = "SHOP_NO_DEMO")]
    pub(crate) no_demo: bool,
    /// Fill the catalogue up to so many products, the demo's and generated ones; at most a million. What is there stays.
    #[arg(long, env = "SHOP_PRODUCTS", default_value_t = 0, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(..=1_000_000), hide_default_value = true)]
    pub(crate) products: u32,
    /// The one currency of the shop, ISO 4217.
    #[arg(long, env = "SHOP_CURRENCY", default_value = "USD", value_name = "CODE")]
    pub(crate) currency: shop_types::Currency,
    /// How long an order may stay unpaid before it expires.
    #[arg(long, env = "SHOP_PAYMENT_TIMEOUT", default_value = "15m", value_parser = shop_order::parse_payment_timeout, value_name = "DURATION")]
    pub(crate) payment_timeout: Duration,
    /// How long an access token is good for.
    #[arg(long, env = "SHOP_ACCESS_TOKEN_TTL", default_value = "5m", value_parser = shop_user::parse_access_token_ttl, value_name = "DURATION")]
    pub(crate) access_token_ttl: Duration,
    /// How long a crashed process's work stays claimed before another takes it over.
    #[arg(long, env = "SHOP_LEASE", default_value = "10s", value_parser = shop_order::parse_lease, value_name = "DURATION")]
    pub(crate) lease: Duration,
    /// Secret that payment webhooks are signed with, two separated by a comma during a rotation; by default one is
    /// generated in the data folder.
    #[arg(long, env = "SHOP_PAYMENT_WEBHOOK_SECRET", hide_env_values = true, value_name = "SECRET",
          value_parser = shop_order::parse_webhook_secret)]
    pub(crate) payment_webhook_secret: Option<SecretString>,
    /// URL that receives the orders' events as signed CloudEvents.
    #[arg(long, env = "SHOP_EVENT_SINK", value_name = "URL", value_parser = shop_order::parse_event_sink)]
    pub(crate) event_sink: Option<String>,
    /// Secret the events are signed with; by default one is generated in the data folder.
    #[arg(long, env = "SHOP_EVENT_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub(crate) event_secret: Option<SecretString>,
    /// How to say that the shop is ready.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
    /// What the gateway allows its clients.
    #[command(flatten)]
    pub(crate) edge: shop_gateway::EdgeOptions,
}

/// Options of `shop audit`.
#[derive(Debug, Clone, Args)]
pub(crate) struct AuditOptions {
    #[command(flatten)]
    pub(crate) data_dir: DataDirOption,
    /// Product's database, of a shop whose services are processes of their own. By default the one in the data folder.
    #[arg(
        long,
        env = "SHOP_PRODUCT_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL",
        requires = "order_database_url"
    )]
    pub(crate) product_database_url: Option<SecretString>,
    /// Order's database, likewise.
    #[arg(
        long,
        env = "SHOP_ORDER_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL",
        requires = "product_database_url"
    )]
    pub(crate) order_database_url: Option<SecretString>,
    /// The lease the shop runs with: what is unsettled for longer counts as a violation.
    #[arg(long, env = "SHOP_LEASE", default_value = "10s", value_parser = shop_order::parse_lease, value_name = "DURATION")]
    pub(crate) lease: Duration,
    /// The sink the shop sends its events to; without one, unsent events are as they should be.
    #[arg(long, env = "SHOP_EVENT_SINK", value_name = "URL", value_parser = shop_order::parse_event_sink)]
    pub(crate) event_sink: Option<String>,
    /// How to print the findings.
    #[arg(long, default_value = "text")]
    pub(crate) output: Output,
}

impl Cli {
    /// Runs the command to its end.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Up(options) => {
                #[cfg(feature = "failpoints")]
                let _scenario = crate::failpoint::arm();
                shop_server::run("shop", self.telemetry, |shutdown| up::up(*options, shutdown))
            }
            Command::Audit(options) => audit::run(self.telemetry, options),
            Command::RotateKeys(option) => {
                shop_server::run(
                    "shop",
                    self.telemetry,
                    |_| async move { DataDir::open(&option.data_dir)?.rotate_keys() },
                )
            }
        }
    }
}
