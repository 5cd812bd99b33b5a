//! Consul is away, empty, silent, slow, or talks nonsense, and the shop goes on.

use std::time::Duration;

use shop_bench::load::Mix;
use shop_testing_consul::{Behaviour, Proxy};

use super::{Consul, Fleet, Layout, load, server};
use crate::SETTLE_BOUND;

/// How soon everything is registered again once Consul is well.
const RECOVERY: Duration = Duration::from_secs(10);
/// Longer than any registration, blocking query or TTL.
const OUTAGE: Duration = Duration::from_mins(2);
/// Longer than the TTL of a registration.
const FAULT: Duration = Duration::from_secs(25);

#[tokio::test]
async fn consul_is_away_for_minutes_while_all_replicas_of_a_service_are_replaced() {
    let Some(server) = server("SHOP_TEST_POSTGRES_URL") else { return };
    let mut consul = Consul::start().await;
    // What a Service is on Kubernetes: an address that stays, before those that are there.
    let product = Proxy::start(Vec::new()).await;
    let layout = Layout { user: 2, product: 3, order: 2, ..Layout::three(server) }
        .with("SHOP_PRODUCT_ADDRESS", product.address().to_string());
    let mut fleet = Fleet::start(layout, &consul).await;
    let load = load::on(&fleet, load::idempotent()).await;
    let begun = tokio::time::Instant::now();
    consul.kill();
    for instance in fleet.instances("product") {
        fleet.add_ready("product").await;
        let leaving = fleet.take(&instance);
        product.lead_to(fleet.of("product").map(|product| product.serve));
        leaving.leave().await;
    }
    tokio::time::sleep_until(begun + OUTAGE).await;
    consul.restart_empty().await;
    fleet.is_shown_by(&consul, RECOVERY).await;
    load::all_served(load, &fleet).await;
    fleet.settled_clean(SETTLE_BOUND).await;
}

#[tokio::test]
async fn consul_hangs_is_slow_flaps_fails_and_talks_nonsense() {
    let Some(server) = server("SHOP_TEST_POSTGRES_URL") else { return };
    let consul = Consul::start().await;
    let front = Proxy::start(vec![consul.http_address()]).await;
    let layout = Layout { user: 2, product: 2, order: 2, ..Layout::three(server) };
    let fleet = Fleet::start_through(layout, &consul, front.address()).await;
    let load = load::on(&fleet, Mix::default()).await;
    let faults = [
        Behaviour::Hang,
        Behaviour::Slow(Duration::from_secs(2)),
        Behaviour::answer("500 Internal Server Error", "", "rpc error: No cluster leader"),
        Behaviour::Answer(b"\x16\x03\x01 what is this\n\n".to_vec()),
        Behaviour::Close,
    ];
    for fault in faults {
        println!("{fault:?}");
        front.behave(fault);
        tokio::time::sleep(FAULT).await;
        front.behave(Behaviour::Pass);
        fleet.is_shown_by(&consul, RECOVERY).await;
    }
    for _ in 0..20 {
        front.behave(Behaviour::Close);
        tokio::time::sleep(Duration::from_millis(300)).await;
        front.behave(Behaviour::Pass);
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    // The process itself stands still: the kernel still accepts connections for it.
    consul.freeze();
    tokio::time::sleep(FAULT).await;
    consul.thaw();
    fleet.is_shown_by(&consul, RECOVERY).await;
    load::all_served(load, &fleet).await;
    fleet.settled_clean(SETTLE_BOUND).await;
}

/// Through one address the agents are many: a registration made twice would be two instances. That is what the catalogue
/// mode is for.
#[tokio::test]
async fn one_of_three_consul_servers_dies() {
    let Some(server) = server("SHOP_TEST_POSTGRES_URL") else { return };
    let mut servers = Consul::cluster(3).await;
    let front = Proxy::start(servers.iter().map(Consul::http_address).collect()).await;
    let layout =
        Layout { user: 2, product: 2, order: 2, ..Layout::three(server) }.with("SHOP_CONSUL_REGISTRATION", "catalog");
    let fleet = Fleet::start_through(layout, &servers[1], front.address()).await;
    let load = load::on(&fleet, Mix::default()).await;
    servers[0].kill();
    // Long enough for an election, and for everything that went through the dead server to be asked again.
    tokio::time::sleep(FAULT).await;
    fleet.is_shown_by(&servers[1], RECOVERY).await;
    fleet.is_shown_by(&servers[2], RECOVERY).await;
    load::all_served(load, &fleet).await;
    fleet.settled_clean(SETTLE_BOUND).await;
}
