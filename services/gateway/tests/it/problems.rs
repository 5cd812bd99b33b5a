//! Every reason a service can refuse for, as a client sees it.

use std::time::Duration;

use serde_json::json;
use shop_proto::status::{Reason, Refusal};
use tonic::{Code, Status};

use crate::support::{Gateway, wire::ID};

fn order_body() -> serde_json::Value {
    json!({"items": [{"product_id": ID, "quantity": 1}], "address_id": ID})
}

#[tokio::test]
async fn every_reason_has_its_status_title_and_type() {
    let gateway = Gateway::start().await;
    let client = gateway.customer().undocumented();
    for reason in Reason::ALL {
        let refusal = Refusal::new(*reason, "Said for this occurrence.").with_violation("/a~1b/0", "Is wrong.");
        gateway.upstream.refuses("GetOrder", &refusal);
        let answer = client.get(&format!("/orders/{ID}")).await;
        let problem = answer.problem(reason.http(), reason.code());
        assert_eq!(problem["title"], reason.title());
        assert_eq!(problem["detail"], "Said for this occurrence.");
        assert_eq!(problem["instance"], format!("/api/v1/orders/{ID}"));
        assert_eq!(problem["errors"], json!([{"pointer": "/a~1b/0", "detail": "Is wrong."}]));
        assert_eq!(answer.header("www-authenticate").is_some(), reason.http() == 401, "{reason:?}");
        assert_eq!(answer.header("retry-after").is_some(), matches!(reason.http(), 429 | 503), "{reason:?}");
    }
}

#[tokio::test]
async fn a_foreign_status_keeps_its_meaning_and_none_of_its_words() {
    let gateway = Gateway::start().await;
    let client = gateway.customer();
    for (code, status) in [
        (Code::Unknown, 500),
        (Code::Internal, 500),
        (Code::DataLoss, 500),
        (Code::Unimplemented, 500),
        (Code::NotFound, 404),
        (Code::Unavailable, 503),
        (Code::DeadlineExceeded, 504),
        (Code::ResourceExhausted, 429),
        (Code::OutOfRange, 400),
    ] {
        gateway.upstream.fails("GetOrder", &Status::new(code, "SELECT secret FROM users at 10.0.0.7"));
        let answer = client.get(&format!("/orders/{ID}")).await.expect(status);
        assert!(!answer.text.contains("secret") && !answer.text.contains("10.0.0.7"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_reply_the_contracts_do_not_allow_is_our_bug() {
    let gateway = Gateway::start().await;
    gateway.upstream.answers("GetOrder", &shop_proto::order::GetOrderResponse { order: None });
    gateway.customer().get(&format!("/orders/{ID}")).await.problem(500, "INTERNAL");
    let order = shop_proto::order::Order { status: 99, ..crate::support::wire::order() };
    gateway.upstream.answers("GetOrder", &shop_proto::order::GetOrderResponse { order: Some(order) });
    gateway.customer().get(&format!("/orders/{ID}")).await.problem(500, "INTERNAL");
}

#[tokio::test]
async fn a_refused_order_names_itself_and_says_when_it_is_a_replay() {
    let gateway = Gateway::start().await;
    let client = gateway.customer();
    let create = || client.request(reqwest::Method::POST, "/orders").header("Idempotency-Key", "k").json(&order_body());
    let refusal = Refusal::new(Reason::OutOfStock, "Not enough is left.")
        .with_metadata("order_id", ID)
        .with_violation("/items/0/quantity", "Only 0 are available.");
    gateway.upstream.refuses("CreateOrder", &refusal);
    let first = client.send(create()).await;
    let problem = first.problem(409, "OUT_OF_STOCK");
    assert_eq!((&problem["order_id"], first.header("idempotency-replayed")), (&json!(ID), None));

    gateway.upstream.refuses("CreateOrder", &refusal.with_metadata("replayed", "true"));
    let again = client.send(create()).await;
    let repeated = again.problem(409, "OUT_OF_STOCK");
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    for member in ["order_id", "code", "detail", "errors", "status"] {
        assert_eq!(problem[member], repeated[member]);
    }
    assert_eq!(repeated.get("replayed"), None);
}

#[tokio::test]
async fn an_order_without_an_answer_is_pending() {
    let gateway = Gateway::start().await;
    let client = gateway.customer();
    for reason in [Reason::DeadlineExceeded, Reason::Unavailable, Reason::OrderPending] {
        let refusal = Refusal::new(reason, "Wait.").with_retry_after(Duration::from_millis(2_500));
        gateway.upstream.refuses("CreateOrder", &refusal);
        let request =
            client.request(reqwest::Method::POST, "/orders").header("Idempotency-Key", "k").json(&order_body());
        let answer = client.send(request).await;
        answer.problem(503, "ORDER_PENDING");
        assert_eq!(answer.header("retry-after"), Some("3"), "{reason:?}");
    }
}

#[tokio::test]
async fn the_challenge_says_whether_the_token_is_at_fault() {
    let gateway = Gateway::start().await;
    let none = gateway.anonymous().get("/users/me").await;
    none.problem(401, "UNAUTHENTICATED");
    assert_eq!(none.header("www-authenticate"), Some("Bearer"));
    let wrong = gateway.anonymous().with_token("nonsense").get("/users/me").await;
    wrong.problem(401, "INVALID_TOKEN");
    assert_eq!(wrong.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
}
