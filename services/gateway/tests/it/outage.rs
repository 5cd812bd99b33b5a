//! Services that are slow, gone or not there yet, and more requests than the gateway takes.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::{
    Gateway, PATIENCE,
    wire::{self, ID},
};

/// An address where nobody listens.
async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_service_that_is_gone_is_a_503_and_only_where_it_is_needed() {
    let gone = nowhere().await;
    let gateway = Gateway::start_unready(|options| options.upstreams.order_address = vec![gone.into()]).await;
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    let customer = gateway.customer();
    let answer = customer.get(&format!("/orders/{ID}")).await;
    let problem = answer.problem(503, "UNAVAILABLE");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(!problem["detail"].as_str().unwrap().contains("127.0.0.1"), "{problem}");
    let order = json!({"items": [{"product_id": ID, "quantity": 1}], "address_id": ID});
    let request = customer.request(Method::POST, "/orders").header("idempotency-key", "k").json(&order);
    customer.send(request).await.problem(503, "ORDER_PENDING");
    customer.get("/products/mug").await.expect(200);
}

#[tokio::test]
async fn readiness_waits_for_every_service_and_liveness_for_none() {
    let gone = nowhere().await;
    let gateway = Gateway::start_unready(|options| options.upstreams.order_address = vec![gone.into()]).await;
    let admin = gateway.running.addresses().admin;
    let probe = |path: &'static str| async move { reqwest::get(format!("http://{admin}{path}")).await.unwrap() };
    assert_eq!(probe("/livez").await.status(), 200);
    assert_eq!(probe("/readyz").await.status(), 503);
    let waiting = async {
        loop {
            let report = probe("/readyz").await.text().await.unwrap();
            if report.contains("can't be reached") && !report.contains("\"product\"") {
                return report;
            }
        }
    };
    let report = tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    assert!(report.contains("\"order\""), "{report}");
    assert_eq!(probe("/livez").await.status(), 200);
}

#[tokio::test]
async fn a_request_has_so_much_time_and_the_services_know() {
    let gateway = Gateway::start_with(|options| options.server.request_timeout = Duration::from_millis(300)).await;
    gateway.upstream.hangs("GetOrder");
    gateway.upstream.hangs("CreateOrder");
    let customer = gateway.customer();
    let started = Instant::now();
    customer.get(&format!("/orders/{ID}")).await.problem(504, "DEADLINE_EXCEEDED");
    assert!(started.elapsed() >= Duration::from_millis(300));
    let call = gateway.upstream.calls("GetOrder").pop().unwrap();
    let timeout = call.headers["grpc-timeout"].to_str().unwrap();
    let (digits, unit) = timeout.split_at(timeout.len() - 1);
    let micros: u64 = digits.parse::<u64>().unwrap()
        * match unit {
            "S" => 1_000_000,
            "m" => 1_000,
            "u" => 1,
            _ => 0,
        };
    assert!((1..=300_000).contains(&micros), "{timeout}");

    let order = json!({"items": [{"product_id": ID, "quantity": 1}], "address_id": ID});
    let request = customer.request(Method::POST, "/orders").header("idempotency-key", "k").json(&order);
    let answer = customer.send(request).await;
    answer.problem(503, "ORDER_PENDING");
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn more_than_the_gateway_takes_is_refused_at_once() {
    let gateway = Gateway::start_with(|options| options.server.max_in_flight = 1).await;
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    gateway.upstream.hangs("GetOrder");
    let customer = gateway.customer();
    let held = tokio::spawn({
        let customer = customer.clone();
        async move { customer.get(&format!("/orders/{ID}")).await }
    });
    let arrived = async {
        while gateway.upstream.calls("GetOrder").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, arrived).await.unwrap();
    let answer = customer.get("/products/mug").await;
    answer.problem(429, "OVERLOADED");
    assert_eq!(answer.header("retry-after"), Some("1"));

    // A client that hangs up makes room.
    held.abort();
    let room = async { while customer.get("/products/mug").await.status == 429 {} };
    tokio::time::timeout(PATIENCE, room).await.unwrap();
    customer.get("/products/mug").await.expect(200);
}

#[tokio::test]
async fn staff_are_refused_while_revocations_may_be_missing() {
    let gone = nowhere().await;
    let gateway = Gateway::start_unready(|options| options.upstreams.user_address = vec![gone.into()]).await;
    gateway.upstream.answers("GetOrder", &wire::order_reply());
    gateway.upstream.answers("GetInventory", &wire::inventory_reply());
    gateway.staff().get(&format!("/products/{ID}/inventory")).await.problem(503, "UNAVAILABLE");
    gateway.customer().get(&format!("/orders/{ID}")).await.expect(200);
}
