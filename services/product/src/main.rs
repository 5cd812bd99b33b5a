//! The product service's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    shop_server::parse::<shop_product::Cli>().run()
}
