//! What the service is started with.

use std::time::Duration;

use secrecy::SecretString;
use shop_auth::AuthOptions;
use shop_discovery::{Address, DiscoveryOptions};
use shop_server::ServerOptions;
use shop_storage::DatabaseOptions;
use shop_types::Currency;
use shop_types::parse_duration;

/// Bytes of a secret that signs cursors at least: as many as HMAC-SHA256's output.
const MIN_SECRET: usize = 32;
/// How often the net for orphans is drawn in. They lapse a day after their order, so a minute more is nothing.
pub const LAPSE_INTERVAL: Duration = Duration::from_mins(1);

/// Everything the product service needs to run.
#[derive(Debug, Clone, clap::Args)]
// Its own come first: a heading holds for what follows, too.
pub struct Options {
    /// Where the user service is; needed without Consul, and the fallback with it.
    #[arg(
        long,
        env = "SHOP_USER_ADDRESS",
        value_name = "HOST:PORT",
        value_delimiter = ',',
        required_unless_present = "consul_address"
    )]
    pub user_address: Vec<Address>,
    /// Signs page cursors; replicas share it. At least 32 bytes.
    #[arg(long, env = "SHOP_CURSOR_SECRET", hide_env_values = true, value_name = "SECRET", value_parser = secret)]
    pub cursor_secret: SecretString,
    /// The shop's one currency (ISO 4217). It can't change once there are products.
    #[arg(long, env = "SHOP_CURRENCY", value_name = "CODE", default_value = "USD")]
    pub currency: Currency,
    /// How often reservations that no order settled are looked for.
    #[arg(long, env = "SHOP_LAPSE_INTERVAL", value_name = "DURATION", default_value = "60s", value_parser = interval)]
    pub lapse_interval: Duration,
    /// Ports and limits.
    #[command(flatten)]
    pub server: ServerOptions,
    /// Where the catalogue is kept.
    #[command(flatten)]
    pub database: DatabaseOptions,
    /// Keys.
    #[command(flatten)]
    pub auth: AuthOptions,
    /// How it finds the others and is found.
    #[command(flatten)]
    pub discovery: DiscoveryOptions,
}

fn secret(text: &str) -> Result<SecretString, String> {
    if text.len() >= MIN_SECRET {
        Ok(SecretString::from(text))
    } else {
        Err(format!("expected at least {MIN_SECRET} bytes"))
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("expected more than 0".to_owned()),
        duration => Ok(duration),
    }
}
