//! What the service is started with.

use std::time::Duration;

use secrecy::SecretString;
use shop_auth::{AuthOptions, MAX_USER_TOKEN_TTL};
use shop_discovery::DiscoveryOptions;
use shop_server::ServerOptions;
use shop_storage::DatabaseOptions;
use shop_types::parse_duration;

/// Bytes of a secret that signs cursors at least: as many as HMAC-SHA256's output.
const MIN_SECRET: usize = 32;
/// How long an access token lives unless told otherwise: short, since it is checked without asking anyone.
pub const DEFAULT_ACCESS_TOKEN_TTL: Duration = Duration::from_mins(5);

/// Everything the user service needs to run.
#[derive(Debug, Clone, clap::Args)]
// Its own come first: a heading holds for what follows, too.
pub struct Options {
    /// Signs page cursors; replicas share it. At least 32 bytes.
    #[arg(long, env = "SHOP_CURSOR_SECRET", hide_env_values = true, value_name = "SECRET", value_parser = secret)]
    pub cursor_secret: SecretString,
    /// How long an access token lives, from 1s to 1h.
    #[arg(long, env = "SHOP_ACCESS_TOKEN_TTL", value_name = "DURATION", default_value = "5m", value_parser = parse_access_token_ttl)]
    pub access_token_ttl: Duration,
    /// Ports and limits.
    #[command(flatten)]
    pub server: ServerOptions,
    /// Where accounts are kept.
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

/// Reads the life of an access token.
pub fn parse_access_token_ttl(text: &str) -> Result<Duration, String> {
    let ttl = parse_duration(text)?;
    if (Duration::from_secs(1)..=MAX_USER_TOKEN_TTL).contains(&ttl) {
        Ok(ttl)
    } else {
        Err("expected 1s to 1h".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_for_a_second_to_an_hour() {
        assert_eq!(parse_access_token_ttl("5m"), Ok(DEFAULT_ACCESS_TOKEN_TTL));
        assert_eq!(parse_access_token_ttl("300s"), Ok(DEFAULT_ACCESS_TOKEN_TTL));
        assert!(
            parse_access_token_ttl("1h").is_ok()
                && parse_access_token_ttl("61m").is_err()
                && parse_access_token_ttl("999ms").is_err()
        );
    }
}
