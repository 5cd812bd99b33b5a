//! What the service is started with.

use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;
use shop_auth::AuthOptions;
use shop_discovery::{Address, DiscoveryOptions};
use shop_server::ServerOptions;
use shop_storage::DatabaseOptions;
use shop_types::{parse_duration, parse_payment_timeout};

use crate::domain::WebhookSecrets;

/// Bytes of a secret that signs cursors at least: as many as HMAC-SHA256's output.
const MIN_SECRET: usize = 32;
/// A lease shorter than this would be over before a slow call is.
const MIN_LEASE: Duration = Duration::from_millis(200);

/// Everything the order service needs to run.
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
    /// Where the product service is; needed without Consul, and the fallback with it.
    #[arg(
        long,
        env = "SHOP_PRODUCT_ADDRESS",
        value_name = "HOST:PORT",
        value_delimiter = ',',
        required_unless_present = "consul_address"
    )]
    pub product_address: Vec<Address>,
    /// Signs page cursors; replicas share it. At least 32 bytes.
    #[arg(long, env = "SHOP_CURSOR_SECRET", hide_env_values = true, value_name = "SECRET", value_parser = secret)]
    pub cursor_secret: SecretString,
    /// How long an order may stay unpaid before it expires, where the shop's settings do not say.
    #[arg(long, env = "SHOP_PAYMENT_TIMEOUT", value_name = "DURATION", default_value = "15m", value_parser = parse_payment_timeout)]
    pub payment_timeout: Duration,
    /// How long a process's work stays its own when it is not heard of: a crash delays an order by this much.
    #[arg(long, env = "SHOP_LEASE", value_name = "DURATION", default_value = "10s", value_parser = parse_lease)]
    pub lease: Duration,
    /// Secret that payment webhooks are signed with; two, separated by a comma, during a rotation. Without it every
    /// webhook is refused.
    #[arg(long, env = "SHOP_PAYMENT_WEBHOOK_SECRET", hide_env_values = true, value_name = "SECRET", value_parser = parse_webhook_secret)]
    pub payment_webhook_secret: Option<SecretString>,
    /// URL (http or https) that receives the orders' events as CloudEvents. Without it they are kept for a week.
    #[arg(long, env = "SHOP_EVENT_SINK", value_name = "URL", requires = "event_secret", value_parser = parse_event_sink)]
    pub event_sink: Option<String>,
    /// Secret that events are signed with.
    #[arg(long, env = "SHOP_EVENT_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub event_secret: Option<SecretString>,
    /// Ports and limits.
    #[command(flatten)]
    pub server: ServerOptions,
    /// Where the orders are kept.
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

/// Reads `--payment-webhook-secret`: one secret, or two separated by a comma.
pub fn parse_webhook_secret(text: &str) -> Result<SecretString, String> {
    let secret = SecretString::from(text);
    WebhookSecrets::parse(&secret).map(|_| secret).map_err(|error| error.to_string())
}

/// Reads `--event-sink`: a URL with http or https.
pub fn parse_event_sink(text: &str) -> Result<String, String> {
    sink_url(text).map(|_| text.to_owned())
}

/// The URL of the event sink.
pub(crate) fn sink_url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        Ok(_) => Err("expected a URL that begins with http:// or https://".to_owned()),
        Err(error) => Err(format!("expected a URL: {error}")),
    }
}

/// Reads `--lease`: 200 ms or more.
pub fn parse_lease(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        duration if duration < MIN_LEASE => Err("expected 200ms or more".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_bounds() {
        assert!(parse_lease("200ms").is_ok() && parse_lease("199ms").is_err());
        assert!(secret(&"s".repeat(32)).is_ok() && secret("short").is_err());
        assert!(parse_webhook_secret("one,two").is_ok() && parse_webhook_secret("one,").is_err());
        assert!(parse_event_sink("https://sink.example/events").is_ok());
        assert!(parse_event_sink("ftp://sink.example").is_err() && parse_event_sink("sink").is_err());
    }
}
