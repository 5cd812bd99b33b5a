//! The process `shop-gateway`.

use std::process::ExitCode;

fn main() -> ExitCode {
    shop_server::parse::<shop_gateway::Cli>().run()
}
