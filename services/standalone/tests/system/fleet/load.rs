//! The load that fleets are under while they are disturbed: open loop, at a stated rate, no client retries beyond the
//! keyed orders that docs/API.md has clients repeat.

use std::time::Duration;

use shop_bench::load::{KeyedRetry, Load, Mix, Operation, Plan, Report, Shape};

use super::Fleet;
use crate::{
    client::Client,
    shop::{ADMIN_EMAIL, ADMIN_PASSWORD},
};

/// Requests per second. A debug build on two cores, a database server and Consul share the machine with the load.
const RATE: f64 = 15.0;
/// What there is to look at and to order; more than any test sells.
const PRODUCTS: i64 = 20;
const STOCK: i64 = 1_000_000;
/// A load is ended by its test, long before this.
const LONGEST: Duration = Duration::from_mins(15);

/// Reads, and orders that are repeated with their key while it is open whether they were placed: what survives the death
/// of any process.
pub(crate) fn idempotent() -> Mix {
    Mix::of([
        (Operation::List, 15),
        (Operation::Page, 10),
        (Operation::Product, 40),
        (Operation::Availability, 10),
        (Operation::Search, 10),
        (Operation::Order, 10),
        (Operation::Orders, 5),
    ])
}

/// Starts a load on all gateways of a fleet.
pub(crate) async fn on(fleet: &Fleet, mix: Mix) -> Load {
    start(fleet, mix, RATE).await
}

pub(crate) async fn start(fleet: &Fleet, mix: Mix, rate: f64) -> Load {
    let staff = Client::admin(fleet).await;
    for price in 1..=PRODUCTS {
        staff.product(100 * price, STOCK).await;
    }
    let plan = Plan {
        mix,
        keyed_retry: KeyedRetry::Unsettled,
        shoppers: 4,
        ..Plan::new(fleet.gateways(), Shape::constant(rate, LONGEST)).with_staff(ADMIN_EMAIL, ADMIN_PASSWORD)
    };
    Load::start(plan).await.unwrap()
}

/// Ends a load of which nothing may have failed or been left out.
pub(crate) async fn all_served(load: Load, fleet: &Fleet) -> Report {
    let report = load.finish().await.unwrap();
    println!("{report}");
    if report.failed + report.dropped > 0 {
        for process in &fleet.processes {
            let log = process.log_text();
            let last: Vec<&str> = log.lines().filter(|line| !line.contains("\"INFO\"")).collect();
            println!("{}:\n{}", process.instance, last[last.len().saturating_sub(20)..].join("\n"));
        }
        panic!("{} requests failed and {} were dropped", report.failed, report.dropped);
    }
    assert!(report.expected > 0, "there was no load");
    report
}
