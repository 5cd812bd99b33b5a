//! The options of the gateway.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use clap::Args;
use ipnet::IpNet;
use shop_auth::AuthOptions;
use shop_discovery::{Address, DiscoveryOptions};
use shop_server::{HttpLimits, ServerOptions};
use shop_types::{parse_duration, settings::parse_origin};

/// Everything the gateway is told.
#[derive(Debug, Clone, Args)]
// Those who call services look every second or so; what stands before a gateway may look less often.
#[command(mut_arg("drain_lead", |argument| argument.default_value("5s")))]
pub struct Options {
    /// Where it listens and what it allows.
    #[command(flatten)]
    pub server: ServerOptions,
    /// Its keys.
    #[command(flatten)]
    pub auth: AuthOptions,
    /// How it finds the services and is found.
    #[command(flatten)]
    pub discovery: DiscoveryOptions,
    /// What it allows its clients.
    #[command(flatten)]
    pub edge: EdgeOptions,
    /// The services behind it.
    #[command(flatten)]
    pub upstreams: UpstreamOptions,
}

/// A client's share of what all gateways do together: what a person and an eager script need, and a small part of what one
/// gateway can do.
const RATE_LIMIT: NonZeroU32 = NonZeroU32::new(50).unwrap();
const RATE_BURST: NonZeroU32 = NonZeroU32::new(100).unwrap();
/// Attempts to sign in from one address: an office in the morning. Each costs a core some 20 ms.
const SIGN_IN_RATE_LIMIT: NonZeroU32 = NonZeroU32::new(5).unwrap();
const SIGN_IN_RATE_BURST: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// An eighth of what the gateway works on at once.
const MAX_IN_FLIGHT_PER_CLIENT: u32 = 64;
/// Forty browsers behind one address.
const MAX_CONNECTIONS_PER_ADDRESS: usize = 256;
/// A stream at rest is a connection here and a stream to order, some 30 KiB in all; one replica of order keeps as many.
const MAX_EVENT_STREAMS: usize = 1_000;
/// Pages and devices that one user looks at orders with.
const MAX_EVENT_STREAMS_PER_USER: usize = 10;
/// A body of the usual size over a bad connection.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What the gateway allows its clients. Rates, origins and maintenance are the shop's settings where it has some; rates are
/// for all gateways together.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Clients")]
pub struct EdgeOptions {
    /// Networks of the proxies in front, comma-separated: `10.0.0.0/8,192.0.2.7`. Their X-Forwarded-For and
    /// X-Forwarded-Proto are believed, and nobody else's.
    #[arg(long, env = "SHOP_TRUSTED_PROXIES", value_name = "NETWORK", value_delimiter = ',', value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,

    /// Requests a second that a user, or an address without one, may go on making.
    #[arg(long, env = "SHOP_RATE_LIMIT", value_name = "COUNT", default_value_t = RATE_LIMIT, value_parser = rate)]
    pub rate_limit: NonZeroU32,

    /// Requests that a user, or an address without one, may make at once.
    #[arg(long, env = "SHOP_RATE_BURST", value_name = "COUNT", default_value_t = RATE_BURST, value_parser = rate)]
    pub rate_burst: NonZeroU32,

    /// Registrations, logins and refreshes a second that an address may go on making.
    #[arg(long, env = "SHOP_SIGN_IN_RATE_LIMIT", value_name = "COUNT", default_value_t = SIGN_IN_RATE_LIMIT, value_parser = rate)]
    pub sign_in_rate_limit: NonZeroU32,

    /// Registrations, logins and refreshes that an address may make at once.
    #[arg(long, env = "SHOP_SIGN_IN_RATE_BURST", value_name = "COUNT", default_value_t = SIGN_IN_RATE_BURST, value_parser = rate)]
    pub sign_in_rate_burst: NonZeroU32,

    /// Requests of one client that are worked on at once.
    #[arg(long, env = "SHOP_MAX_IN_FLIGHT_PER_CLIENT", value_name = "COUNT", default_value_t = MAX_IN_FLIGHT_PER_CLIENT,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub max_in_flight_per_client: u32,

    /// Connections that one address may have at once; trusted proxies may have all there are.
    #[arg(long, env = "SHOP_MAX_CONNECTIONS_PER_ADDRESS", value_name = "COUNT", default_value_t = MAX_CONNECTIONS_PER_ADDRESS)]
    pub max_connections_per_address: usize,

    /// Event streams that are open at once.
    #[arg(long, env = "SHOP_MAX_EVENT_STREAMS", value_name = "COUNT", default_value_t = MAX_EVENT_STREAMS)]
    pub max_event_streams: usize,

    /// Event streams that one user may have open at once.
    #[arg(long, env = "SHOP_MAX_EVENT_STREAMS_PER_USER", value_name = "COUNT", default_value_t = MAX_EVENT_STREAMS_PER_USER)]
    pub max_event_streams_per_user: usize,

    /// Origins whose pages may call from a browser, comma-separated: `https://shop.example`, or `*` alone for any.
    #[arg(long, env = "SHOP_CORS_ORIGINS", value_name = "ORIGIN", value_delimiter = ',', value_parser = parse_origin)]
    pub cors_origins: Vec<String>,

    /// Answer every call of the interface with 503.
    #[arg(long, env = "SHOP_MAINTENANCE")]
    pub maintenance: bool,

    /// Time for a request's head to arrive.
    #[arg(long, env = "SHOP_HEAD_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = positive_duration)]
    pub head_timeout: Duration,

    /// Time for a request's body to arrive; a large one has a second more for each 32 KiB that came.
    #[arg(long, env = "SHOP_BODY_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = positive_duration)]
    pub body_timeout: Duration,

    /// Time in which a client must have taken something of an answer.
    #[arg(long, env = "SHOP_WRITE_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = positive_duration)]
    pub write_timeout: Duration,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        let limits = HttpLimits::default();
        Self {
            trusted_proxies: Vec::new(),
            rate_limit: RATE_LIMIT,
            rate_burst: RATE_BURST,
            sign_in_rate_limit: SIGN_IN_RATE_LIMIT,
            sign_in_rate_burst: SIGN_IN_RATE_BURST,
            max_in_flight_per_client: MAX_IN_FLIGHT_PER_CLIENT,
            max_connections_per_address: MAX_CONNECTIONS_PER_ADDRESS,
            max_event_streams: MAX_EVENT_STREAMS,
            max_event_streams_per_user: MAX_EVENT_STREAMS_PER_USER,
            cors_origins: Vec::new(),
            maintenance: false,
            head_timeout: limits.head_timeout,
            body_timeout: BODY_TIMEOUT,
            write_timeout: limits.write_timeout,
        }
    }
}

impl EdgeOptions {
    /// What of it the connections are held to.
    pub(crate) fn connections(&self) -> HttpLimits {
        HttpLimits {
            connections_per_address: self.max_connections_per_address,
            proxies: self.trusted_proxies.clone(),
            head_timeout: self.head_timeout,
            write_timeout: self.write_timeout,
        }
    }
}

/// A network, or a single address.
fn network(text: &str) -> Result<IpNet, String> {
    let network = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    network.ok_or_else(|| "expected a network such as 10.0.0.0/8, or an address".to_owned())
}

/// As in the settings.
fn rate(text: &str) -> Result<NonZeroU32, String> {
    text.parse()
        .ok()
        .filter(|rate: &NonZeroU32| rate.get() <= 1_000_000)
        .ok_or_else(|| "expected 1 to 1000000".to_owned())
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("expected more than 0".to_owned()),
        duration => Ok(duration),
    }
}

/// Where the services are, unless Consul tells.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Services")]
pub struct UpstreamOptions {
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
    /// Where the order service is; needed without Consul, and the fallback with it.
    #[arg(
        long,
        env = "SHOP_ORDER_ADDRESS",
        value_name = "HOST:PORT",
        value_delimiter = ',',
        required_unless_present = "consul_address"
    )]
    pub order_address: Vec<Address>,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        edge: EdgeOptions,
    }

    /// The figures stand twice, once for clap's help and once as constants.
    #[test]
    fn the_command_line_has_the_defaults_of_the_type() {
        let parsed = Cli::parse_from(["test"]).edge;
        assert_eq!(format!("{parsed:?}"), format!("{:?}", EdgeOptions::default()));
    }

    #[test]
    fn networks_and_origins_are_lists() {
        let parsed =
            Cli::parse_from(["test", "--trusted-proxies", "10.0.0.0/8,::1", "--cors-origins", "https://a.example,*"]);
        assert_eq!(parsed.edge.trusted_proxies, ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        assert_eq!(parsed.edge.cors_origins, ["https://a.example", "*"]);
        for (option, bad) in
            [("--trusted-proxies", "10.0.0"), ("--cors-origins", "https://a.example/"), ("--rate-limit", "0")]
        {
            assert!(Cli::try_parse_from(["test", option, bad]).is_err(), "{option} {bad}");
        }
    }
}
