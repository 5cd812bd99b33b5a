//! The operator's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    shop_server::parse::<shop_operator::cli::Cli>().run()
}
