//! `bench`: what the shop costs, against floors and gates.

use std::process::ExitCode;

use shop_bench::cost::BenchCommand;

fn main() -> ExitCode {
    shop_server::parse::<BenchCommand>().run()
}
