//! The user service's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    shop_server::parse::<shop_user::Cli>().run()
}
