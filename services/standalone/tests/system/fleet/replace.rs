//! Replicas come and go under load, and nobody notices.

use std::time::Duration;

use shop_bench::load::Mix;

use super::{Consul, Fleet, Layout, load, server};
use crate::SETTLE_BOUND;

/// Behind the gateways.
const REPLICATED: [&str; 3] = ["user", "product", "order"];

#[tokio::test]
async fn every_replica_leaves_and_is_replaced_and_no_request_fails() {
    let Some(server) = server("SHOP_TEST_POSTGRES_URL") else { return };
    let consul = Consul::start().await;
    let mut fleet = Fleet::start(Layout::three(server), &consul).await;
    let load = load::on(&fleet, Mix::default()).await;
    for service in REPLICATED {
        for instance in fleet.instances(service) {
            fleet.take(&instance).leave().await;
            fleet.add_ready(service).await;
        }
    }
    load::all_served(load, &fleet).await;
    fleet.is_shown_by(&consul, Duration::from_secs(5)).await;
    fleet.settled_clean(SETTLE_BOUND).await;
}

#[tokio::test]
async fn every_replica_is_killed_and_replaced_and_no_idempotent_request_fails() {
    let Some(server) = server("SHOP_TEST_POSTGRES_URL") else { return };
    let consul = Consul::start().await;
    let mut fleet = Fleet::start(Layout::three(server), &consul).await;
    let load = load::on(&fleet, load::idempotent()).await;
    for service in REPLICATED {
        for instance in fleet.instances(service) {
            fleet.take(&instance).kill().await;
            fleet.add_ready(service).await;
        }
        // One more than before.
        fleet.add_ready(service).await;
    }
    load::all_served(load, &fleet).await;
    fleet.settled_clean(SETTLE_BOUND).await;
}

#[tokio::test]
async fn gateways_leave_and_no_request_fails() {
    let Some(server) = server("SHOP_TEST_POSTGRES_URL") else { return };
    let consul = Consul::start().await;
    let one = Layout { user: 1, product: 1, order: 1, ..Layout::three(server) };
    let mut fleet = Fleet::start(one, &consul).await;
    let load = load::on(&fleet, Mix::default()).await;
    let leaving = fleet.instances("gateway").remove(0);
    fleet.take(&leaving).leave().await;
    load::all_served(load, &fleet).await;
    fleet.settled_clean(SETTLE_BOUND).await;
}
