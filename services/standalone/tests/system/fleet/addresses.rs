//! An address outlives the process that had it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue},
    response::{IntoResponse as _, Response},
};

use super::{Consul, Fleet, Layout, Process, load, server};
use crate::SETTLE_BOUND;

/// How long clients may take to know that an address is dead.
const NOTICED: Duration = Duration::from_secs(2);
/// How long nothing may come after that: longer than the registry keeps a dead instance.
const WATCHED: Duration = Duration::from_secs(15);

#[tokio::test]
async fn nothing_reaches_the_address_of_a_killed_replica() {
    let Some(server) = server("SHOP_TEST_POSTGRES_URL") else { return };
    let consul = Consul::start().await;
    let mut fleet = Fleet::start(Layout { user: 2, product: 2, order: 2, ..Layout::three(server) }, &consul).await;
    let load = load::on(&fleet, load::idempotent()).await;
    for service in ["user", "product", "order"] {
        let instance = fleet.instances(service).remove(0);
        let killed = fleet.take(&instance);
        let address = killed.serve;
        killed.kill().await;
        tokio::time::sleep(NOTICED).await;
        let heir = Heir::at(address, "WRONG_INSTANCE").await;
        tokio::time::sleep(WATCHED).await;
        assert_eq!(heir.calls(), 0, "calls of {service} reached the address of a dead replica");
    }
    load::all_served(load, &fleet).await;
    fleet.settled_clean(SETTLE_BOUND).await;
}

#[tokio::test]
async fn another_service_at_a_reused_address_gets_no_traffic() {
    let Some(server) = server("SHOP_TEST_POSTGRES_URL") else { return };
    let consul = Consul::start().await;
    let mut fleet = Fleet::start(Layout { user: 1, product: 3, order: 1, ..Layout::three(server) }, &consul).await;
    let load = load::on(&fleet, load::idempotent()).await;
    // The registry still says product; what listens is the user service, started at once.
    let instance = fleet.instances("product").remove(0);
    let killed = fleet.take(&instance);
    let address = killed.serve;
    killed.kill().await;
    let squatter = fleet.add_at("user", address).await;
    let squatter = &fleet.processes[squatter];
    squatter.ready().await;
    tokio::time::sleep(NOTICED).await;
    let noticed = calls_of_product(squatter).await;
    tokio::time::sleep(WATCHED).await;
    assert_eq!(calls_of_product(squatter).await, noticed, "calls of product went on to reach user");
    load::all_served(load, &fleet).await;
    fleet.settled_clean(SETTLE_BOUND).await;
}

/// The calls of product's that a process answered, with `WRONG_INSTANCE` unless it is product.
async fn calls_of_product(process: &Process) -> u64 {
    process.metric("rpc_server_call_duration_seconds_count", "shop.product").await
}

/// Whoever has the address now. It answers as a shop's server that is not meant, and counts what is not a health check:
/// those ask just whether the instance is back.
struct Heir {
    calls: Arc<AtomicU64>,
}

#[derive(Clone)]
struct Count {
    calls: Arc<AtomicU64>,
    reason: &'static str,
}

impl Heir {
    async fn at(address: SocketAddr, reason: &'static str) -> Self {
        let calls = Arc::new(AtomicU64::new(0));
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let router = Router::new().fallback(count).with_state(Count { calls: Arc::clone(&calls), reason });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { calls }
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

async fn count(State(count): State<Count>, request: Request) -> Response {
    if request.uri().path() != "/grpc.health.v1.Health/Check" {
        count.calls.fetch_add(1, Ordering::Relaxed);
    }
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static("14"));
    headers.insert("grpc-message", HeaderValue::from_static(count.reason));
    headers.into_response()
}
