//! `shop`: a whole shop in one process.

use std::process::ExitCode;

fn main() -> ExitCode {
    shop_server::parse::<shop_standalone::Cli>().run()
}
