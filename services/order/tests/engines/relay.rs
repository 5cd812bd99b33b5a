//! Events to a sink.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_lc_rs::hmac;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::Value;
use shop_proto::order::OrderStatus;

use crate::harness::{EVENT_SECRET, Shop, Wishes, until, usd};

/// What the sink got, and how often it will refuse.
#[derive(Clone, Default)]
pub(crate) struct Sink {
    taken: Arc<Mutex<Vec<Value>>>,
    refused: Arc<AtomicUsize>,
    pub(crate) to_refuse: Arc<AtomicUsize>,
}

async fn take(State(sink): State<Sink>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/cloudevents+json; charset=utf-8");
    assert!(is_signed(headers["x-shop-signature"].to_str().unwrap(), &body));
    let one_less = |left: usize| left.checked_sub(1);
    if sink.to_refuse.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
        sink.refused.fetch_add(1, Ordering::SeqCst);
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    sink.taken.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    StatusCode::ACCEPTED
}

fn is_signed(header: &str, body: &[u8]) -> bool {
    let (at, tag) = header.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, EVENT_SECRET.as_bytes());
    let message = [at.as_bytes(), b".", body].concat();
    hmac::verify(&key, &message, &hex::decode(tag).unwrap()).is_ok()
}

impl Sink {
    pub(crate) async fn start() -> (Self, String) {
        let sink = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/events", listener.local_addr().unwrap());
        let router = Router::new().route("/events", post(take)).with_state(sink.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (sink, url)
    }

    /// The types of an order's events as they came, repeats left out.
    pub(crate) fn of(&self, id: &str) -> Vec<String> {
        let mut seen = HashSet::new();
        let taken = self.taken.lock().unwrap();
        let of_order = taken.iter().filter(|event| event["subject"] == id);
        let first = of_order.filter(|event| seen.insert(event["id"].to_string()));
        first.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    async fn gets(&self, id: &str, expected: &[&str]) {
        until("the events", async || (self.of(id) == expected).then_some(())).await;
    }
}

async fn shop_with(sink: String) -> Shop {
    Shop::open_with(Wishes { event_sink: Some(sink), ..Wishes::default() }).await
}

#[tokio::test]
async fn every_version_is_told_in_order() {
    let (sink, url) = Sink::start().await;
    let shop = shop_with(url).await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.shipped(&ada, &[(&tea, 2)]).await;
    shop.pay(&order.id, "bank-2", usd(1)).await.unwrap();
    shop.refund(&order.id, "back-1", usd(1), false).await.unwrap();
    shop.deliver(&order.id).await.unwrap();
    shop.refund(&order.id, "back-2", usd(998), true).await.unwrap();
    let expected = [
        "order.created",
        "order.reserved",
        "order.paid",
        "order.shipped",
        "order.refund_due",
        "order.refund_settled",
        "order.delivered",
        "order.refunded",
    ];
    sink.gets(&order.id, &expected).await;

    let taken = sink.taken.lock().unwrap().clone();
    let reserved = taken.iter().find(|event| event["type"] == "order.reserved").unwrap();
    assert_eq!(reserved["specversion"], "1.0");
    assert_eq!(reserved["id"], format!("{}.2", order.id));
    assert_eq!(reserved["source"], "/shops/local/orders");
    assert_eq!(reserved["data"]["status"], "reserved");
    assert_eq!(reserved["data"]["total"]["amount"], 998);
    assert!(reserved["data"].get("shipping_address").is_none());
    for (version, event) in (1..).zip(&taken) {
        assert_eq!(event["data"]["version"], version);
    }
    shop.assert_clean().await;
    until("the outbox to be empty", async || shop.audit().await.outbox.is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_sink_that_fails_gets_everything_in_the_end() {
    let (sink, url) = Sink::start().await;
    sink.to_refuse.store(7, Ordering::SeqCst);
    let shop = shop_with(url).await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let (one, two) = (shop.reserved(&ada, &[(&tea, 1)]).await, shop.reserved(&ada, &[(&tea, 1)]).await);
    shop.cancel(&ada, &one.id).await.unwrap();
    sink.gets(&one.id, &["order.created", "order.reserved", "order.cancelled"]).await;
    sink.gets(&two.id, &["order.created", "order.reserved"]).await;
    assert_eq!(sink.refused.load(Ordering::SeqCst), 7);
}

#[tokio::test]
async fn what_was_not_sent_at_a_stop_is_sent_after_the_start() {
    let (sink, url) = Sink::start().await;
    sink.to_refuse.store(usize::MAX, Ordering::SeqCst);
    let mut shop = shop_with(url).await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 1)]).await;
    until("the sink to refuse", async || (sink.refused.load(Ordering::SeqCst) > 0).then_some(())).await;
    assert!(!shop.audit().await.outbox.is_empty(), "the audit sees what is unsent");
    shop.stop_order().await;

    sink.to_refuse.store(0, Ordering::SeqCst);
    shop.restart_order().await;
    sink.gets(&order.id, &["order.created", "order.reserved"]).await;
}

#[tokio::test]
async fn a_sink_needs_a_url_and_a_secret() {
    let mut shop = Shop::open().await;
    shop.stop_order().await;
    let options = shop.order_options(shop.product_address());
    for (sink, secret, complaint) in [
        ("http://127.0.0.1:1/", None, "--event-secret"),
        ("ftp://127.0.0.1/", Some(EVENT_SECRET), "http://"),
        ("nowhere", Some(EVENT_SECRET), "expected a URL"),
    ] {
        let mut options = options.clone();
        options.event_sink = Some(sink.to_owned());
        options.event_secret = secret.map(Into::into);
        let error = shop_order::start(options, &shop_server::Shutdown::new()).await.unwrap_err();
        assert!(format!("{error:#}").contains(complaint), "{error:#}");
    }
}

#[tokio::test]
async fn without_a_sink_orders_are_none_the_worse() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 1)]).await;
    assert_eq!(order.status(), OrderStatus::Reserved);
    shop.assert_clean().await;
    assert!(shop.audit().await.outbox.is_empty());
}
