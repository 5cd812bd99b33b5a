//! `load`: puts a load on a shop and says how it bore it.

use std::process::ExitCode;

use shop_bench::load::LoadCommand;

fn main() -> ExitCode {
    shop_server::parse::<LoadCommand>().run()
}
