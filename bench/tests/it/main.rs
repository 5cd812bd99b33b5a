//! The load generator against servers that behave, stall, refuse and break as a test wants it, each of which keeps its own
//! count, and the floors of the benchmark. Against the real shop the generator is tried in services/standalone.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod command;
mod connections;
mod coordinated_omission;
mod endings;
mod fake_shop;
mod floors;
mod shapes;

use std::time::Duration;

use shop_bench::load::{Arrivals, Plan, Shape};

use fake_shop::FakeShop;

/// An evenly spread load of so many requests a second, with nothing before it.
fn plan(shop: &FakeShop, per_second: f64, duration: Duration) -> Plan {
    Plan {
        arrivals: Arrivals::Even,
        warm_up: Duration::ZERO,
        shoppers: 2,
        ..Plan::new([shop.url()], Shape::constant(per_second, duration))
    }
}
