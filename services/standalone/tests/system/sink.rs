//! A receiver of the orders' events, as an operator would run one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde_json::Value;
use uuid::Uuid;

/// How long the last events may take to arrive.
const ARRIVAL_BOUND: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Received {
    /// By order: the versions in the order of their first arrival.
    versions: HashMap<Uuid, Vec<i64>>,
    deliveries: u64,
}

pub(crate) struct EventSink {
    received: Arc<Mutex<Received>>,
    address: std::net::SocketAddr,
}

impl EventSink {
    /// Refuses every seventh delivery, so that relays have to repeat.
    pub(crate) async fn start() -> Self {
        let received = Arc::new(Mutex::new(Received::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/events", post(receive)).with_state(Arc::clone(&received));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { received, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// Waits until every version of each order has arrived, and requires that none overtook an earlier one.
    pub(crate) async fn has_all_events_in_order(&self, orders: &[Uuid], during: &str) {
        for order in orders {
            let begun = Instant::now();
            loop {
                let versions = self.received.lock().unwrap().versions.get(order).cloned().unwrap_or_default();
                let in_order = versions.iter().copied().eq(1..=i64::try_from(versions.len()).unwrap());
                assert!(in_order, "{during}: order {order} was told as {versions:?}");
                // Every road has at least two states.
                if versions.len() >= 2 {
                    break;
                }
                assert!(begun.elapsed() < ARRIVAL_BOUND, "{during}: of order {order} only {versions:?} arrived");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn receive(State(received): State<Arc<Mutex<Received>>>, Json(event): Json<Value>) -> StatusCode {
    let mut received = received.lock().unwrap();
    received.deliveries += 1;
    if received.deliveries % 7 == 0 {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let order: Uuid = event["subject"].as_str().unwrap().parse().unwrap();
    let version = event["data"]["version"].as_i64().unwrap();
    let versions = received.versions.entry(order).or_default();
    if !versions.contains(&version) {
        versions.push(version);
    }
    StatusCode::NO_CONTENT
}
