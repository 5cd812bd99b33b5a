//! Products that are kept for a second: one call for all who want one, and nothing older than it may be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use shop_proto::{
    product::{self, GetProductRequest, GetProductResponse},
    status::{Reason, Refusal},
};
use tokio::sync::Notify;
use tonic::Status;

use crate::support::{
    Gateway, until,
    wire::{self, ID},
};

/// Product as it is, whose version a test changes behind the gateway's back.
fn changing(gateway: &Gateway) -> Arc<AtomicI64> {
    let version = Arc::new(AtomicI64::new(1));
    let now = Arc::clone(&version);
    gateway.upstream.answers_with("GetProduct", move |_: GetProductRequest| {
        let version = now.load(Ordering::SeqCst);
        async move { Ok(GetProductResponse { product: Some(product::Product { version, ..wire::product() }) }) }
    });
    version
}

fn reads(gateway: &Gateway) -> usize {
    gateway.upstream.calls("GetProduct").len()
}

#[tokio::test]
async fn all_who_want_a_product_at_once_are_one_call() {
    let gateway = Gateway::start_with(|options| options.server.max_in_flight = 1_000).await;
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    let (client, begun) = (gateway.anonymous(), Instant::now());
    for answer in join_all((0..500).map(|_| client.get("/products/mug"))).await {
        assert_eq!(answer.expect(200).header("etag"), Some("\"7\""));
    }
    // Each second may have one of its own.
    let most = usize::try_from(begun.elapsed().as_secs()).unwrap() + 1;
    assert!(reads(&gateway) <= most, "{} calls in {:?}", reads(&gateway), begun.elapsed());
}

#[tokio::test]
async fn a_change_is_seen_within_a_second_by_everyone() {
    let gateway = Gateway::start().await;
    let version = changing(&gateway);
    let client = gateway.anonymous();
    client.get("/products/mug").await.expect(200);
    version.store(2, Ordering::SeqCst);
    let changed = Instant::now();
    // Who asks later than a second after the change gets it, however long a loaded machine takes to answer.
    until("the change is seen", async || {
        let asked_after = changed.elapsed();
        let seen = client.get("/products/mug").await.header("etag") == Some("\"2\"");
        assert!(seen || asked_after < Duration::from_secs(1), "not seen {asked_after:?} after the change");
        seen
    })
    .await;
    assert_eq!(reads(&gateway), 2);
    // By id it is another page.
    client.get(&format!("/products/{ID}")).await.expect(200);
    assert_eq!(reads(&gateway), 3);
}

#[tokio::test]
async fn who_changes_a_product_sees_it_at_once_under_all_its_names() {
    let gateway = Gateway::start().await;
    let version = changing(&gateway);
    let (client, staff) = (gateway.anonymous(), gateway.staff());
    let by_id = format!("/products/{ID}");
    let changed = Arc::clone(&version);
    gateway.upstream.answers_with("UpdateProduct", move |_: product::UpdateProductRequest| {
        let version = changed.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            Ok(product::UpdateProductResponse { product: Some(product::Product { version, ..wire::product() }) })
        }
    });
    for round in 1..20 {
        for path in ["/products/mug", by_id.as_str()] {
            assert_eq!(client.get(path).await.header("etag").unwrap(), format!("\"{round}\""));
        }
        let request = staff.request(Method::PATCH, &by_id).header("if-match", format!("\"{round}\""));
        staff.send(request.json(&json!({"name": "Mug"}))).await.expect(200);
        for path in ["/products/mug", by_id.as_str()] {
            assert_eq!(client.get(path).await.header("etag").unwrap(), format!("\"{}\"", round + 1), "{path}");
        }
    }
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_counts_as_made() {
    let gateway = Gateway::start().await;
    let version = changing(&gateway);
    let (client, staff) = (gateway.anonymous(), gateway.staff());
    client.get("/products/mug").await.expect(200);
    let made = Arc::clone(&version);
    gateway.upstream.answers_with("ArchiveProduct", move |_: product::ArchiveProductRequest| {
        made.fetch_add(1, Ordering::SeqCst);
        async { Err::<product::ArchiveProductResponse, _>(Status::unavailable("lost")) }
    });
    let request = staff.request(Method::DELETE, &format!("/products/{ID}")).header("if-match", "\"1\"");
    staff.send(request).await.problem(503, "UNAVAILABLE");
    assert_eq!(client.get("/products/mug").await.header("etag"), Some("\"2\""));
}

/// Says so when a call is given up.
struct GivenUp(Arc<Notify>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_change_counts_as_made_though_its_caller_has_gone() {
    let gateway = Gateway::start().await;
    let version = changing(&gateway);
    let (client, staff) = (gateway.anonymous(), gateway.staff());
    let (made, given_up) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (now, is_made, ends) = (Arc::clone(&version), Arc::clone(&made), Arc::clone(&given_up));
    gateway.upstream.answers_with("ArchiveProduct", move |_: product::ArchiveProductRequest| {
        now.store(2, Ordering::SeqCst);
        is_made.notify_one();
        let call = GivenUp(Arc::clone(&ends));
        async move {
            let _call = call;
            std::future::pending::<Result<product::ArchiveProductResponse, Status>>().await
        }
    });
    let request = staff.request(Method::DELETE, &format!("/products/{ID}")).header("if-match", "\"1\"");
    client.get("/products/mug").await.expect(200);
    let leaving = tokio::spawn(async move { staff.send(request).await });
    made.notified().await;
    leaving.abort();
    given_up.notified().await;
    assert_eq!(client.get("/products/mug").await.header("etag"), Some("\"2\""));
}

#[tokio::test]
async fn a_call_that_a_change_overtook_is_not_believed() {
    let gateway = Gateway::start().await;
    let version = changing(&gateway);
    let go_on = Arc::new(Notify::new());
    let (held, now) = (Arc::clone(&go_on), Arc::clone(&version));
    // The first read sees the old version, and its answer is late.
    gateway.upstream.answers_with("GetProduct", move |_: GetProductRequest| {
        let version = now.load(Ordering::SeqCst);
        let held = Arc::clone(&held);
        async move {
            if version == 1 {
                held.notified().await;
            }
            Ok(GetProductResponse { product: Some(product::Product { version, ..wire::product() }) })
        }
    });
    gateway.upstream.answers("UpdateProduct", &product::UpdateProductResponse { product: Some(wire::product()) });
    let (client, staff) = (gateway.anonymous(), gateway.staff());
    let early = tokio::spawn({
        let client = client.clone();
        async move { client.get("/products/mug").await }
    });
    until("the first read is under way", async || reads(&gateway) == 1).await;
    version.store(2, Ordering::SeqCst);
    let request = staff.request(Method::PATCH, &format!("/products/{ID}")).header("if-match", "\"1\"");
    staff.send(request.json(&json!({"name": "Mug"}))).await.expect(200);
    let writers = tokio::spawn(async move { client.get("/products/mug").await });
    go_on.notify_one();
    assert_eq!(writers.await.unwrap().expect(200).header("etag"), Some("\"2\""));
    early.await.unwrap().expect(200);
}

#[tokio::test]
async fn a_new_product_is_there_although_it_was_looked_for_before() {
    let gateway = Gateway::start().await;
    let client = gateway.anonymous();
    gateway.upstream.refuses("GetProduct", &Refusal::new(Reason::NotFound, "There is no such product."));
    client.get("/products/mug").await.problem(404, "NOT_FOUND");
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    client.get("/products/mug").await.expect(200);
}

#[tokio::test]
async fn failures_are_shared_and_not_kept() {
    let gateway = Gateway::start().await;
    let client = gateway.anonymous();
    gateway.upstream.fails("GetProduct", &Status::resource_exhausted("busy"));
    for calls in 1..=3 {
        client.get("/products/mug").await.problem(429, "OVERLOADED");
        assert_eq!(reads(&gateway), calls);
    }
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    client.get("/products/mug").await.expect(200);
}

#[tokio::test]
async fn who_leaves_takes_nobody_along() {
    let gateway = Gateway::start().await;
    let go_on = Arc::new(Notify::new());
    let held = Arc::clone(&go_on);
    gateway.upstream.answers_with("GetProduct", move |_: GetProductRequest| {
        let held = Arc::clone(&held);
        async move {
            held.notified().await;
            Ok(wire::product_reply())
        }
    });
    let client = gateway.anonymous();
    let ask = || {
        let client = client.clone();
        tokio::spawn(async move { client.get("/products/mug").await })
    };
    let first = ask();
    until("the call is made", async || reads(&gateway) == 1).await;
    let second = ask();
    first.abort();
    until("another one asks", async || reads(&gateway) == 2).await;
    go_on.notify_waiters();
    go_on.notify_one();
    second.await.unwrap().expect(200);
}

#[tokio::test]
async fn stock_and_listings_are_asked_for_each_time() {
    let gateway = Gateway::start().await;
    let client = gateway.anonymous();
    let availability = product::Availability { product_id: ID.into(), available: 1, in_stock: true };
    gateway
        .upstream
        .answers("GetAvailability", &product::GetAvailabilityResponse { availabilities: vec![availability] });
    gateway.upstream.answers("ListProducts", &product::ListProductsResponse::default());
    for calls in 1..=3 {
        client.get(&format!("/products/{ID}/availability")).await.expect(200);
        client.get("/products").await.expect(200);
        assert_eq!(gateway.upstream.calls("GetAvailability").len(), calls);
        assert_eq!(gateway.upstream.calls("ListProducts").len(), calls);
    }
}
