//! The options of the gateway.

use clap::Args;
use shop_auth::AuthOptions;
use shop_discovery::Address;
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
    /// The services behind it.
    #[command(flatten)]
    pub upstreams: UpstreamOptions,
}

/// Where the services are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Services")]
pub struct UpstreamOptions {
    /// Addresses of the user service, comma-separated.
    #[arg(long, env = "SHOP_USER_ADDRESS", value_name = "HOST:PORT", value_delimiter = ',', required = true)]
    pub user_address: Vec<Address>,
    /// Addresses of the product service, comma-separated.
    #[arg(long, env = "SHOP_PRODUCT_ADDRESS", value_name = "HOST:PORT", value_delimiter = ',', required = true)]
    pub product_address: Vec<Address>,
    /// Addresses of the order service, comma-separated.
    #[arg(long, env = "SHOP_ORDER_ADDRESS", value_name = "HOST:PORT", value_delimiter = ',', required = true)]
    pub order_address: Vec<Address>,
}
