//! The options of the gateway.

use clap::Args;
use shop_auth::AuthOptions;
use shop_discovery::{Address, DiscoveryOptions};
use shop_server::ServerOptions;

/// Everything the gateway is told.
#[derive(Debug, Clone, Args)]
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
    /// The services behind it.
    #[command(flatten)]
    pub upstreams: UpstreamOptions,
}

/// Where the services are, unless Consul tells.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Services")]
pub struct UpstreamOptions {
    /// Addresses of the user service, comma-separated.
    #[arg(
        long,
        env = "SHOP_USER_ADDRESS",
        value_name = "HOST:PORT",
        value_delimiter = ',',
        required_unless_present = "consul_address"
    )]
    pub user_address: Vec<Address>,
    /// Addresses of the product service, comma-separated.
    #[arg(
        long,
        env = "SHOP_PRODUCT_ADDRESS",
        value_name = "HOST:PORT",
        value_delimiter = ',',
        required_unless_present = "consul_address"
    )]
    pub product_address: Vec<Address>,
    /// Addresses of the order service, comma-separated.
    #[arg(
        long,
        env = "SHOP_ORDER_ADDRESS",
        value_name = "HOST:PORT",
        value_delimiter = ',',
        required_unless_present = "consul_address"
    )]
    pub order_address: Vec<Address>,
}
