//! The order service's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    shop_server::parse::<shop_order::Cli>().run()
}
