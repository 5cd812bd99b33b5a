//! How much one client may ask.

use std::{num::NonZeroU32, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use shop_auth::Role;
use shop_gateway::EdgeOptions;
use shop_proto::user;
use shop_types::new_id;

use crate::support::{
    Client, Gateway, until,
    wire::{self, ID},
};

async fn with_defaults() -> Gateway {
    let gateway = Gateway::start_with(|options| options.edge = EdgeOptions::default()).await;
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    gateway
}

fn number(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

#[tokio::test]
async fn a_burst_is_answered_and_what_is_beyond_it_told_to_wait() {
    let gateway = with_defaults().await;
    let client = gateway.customer();
    let first = client.get("/products/mug").await.expect(200);
    assert_eq!(first.header("ratelimit-policy"), Some(r#""requests";q=100;w=2"#));
    assert_eq!(first.header("ratelimit"), Some(r#""requests";r=99;t=1"#));
    // The bucket fills by fifty a second: a hundred more in less than that empty it.
    let mut refused = None;
    for _ in 0..1_000 {
        let answer = client.get("/products/mug").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a thousand requests in a row are too many");
    refused.problem(429, "RATE_LIMITED");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(refused.header("ratelimit").unwrap().starts_with(r#""requests";r=0;t="#), "{refused:?}");
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""requests";q=100;w=2"#));
    // Others are not held to it, nor is the address that the user came from.
    gateway.customer().get("/products/mug").await.expect(200);
    gateway.anonymous().get("/products/mug").await.expect(200);
    // And it passes.
    until("a token", async || client.get("/products/mug").await.status == 200).await;
}

#[tokio::test]
async fn a_user_has_one_bucket_whatever_the_token_and_a_bad_token_none() {
    let limit = |options: &mut shop_gateway::Options| {
        options.edge = EdgeOptions { rate_limit: number(1), rate_burst: number(2), ..EdgeOptions::default() };
    };
    let gateway = Gateway::start_unready(limit).await;
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    // One comes free each second, so that a single request may still be let in on a slow machine: never all of so many.
    let refused_soon = async |client: &dyn Fn(usize) -> Client, path: &str, until_then: u16| {
        for attempt in 0..200 {
            let answer = client(attempt).get(path).await;
            if answer.status == 429 {
                answer.problem(429, "RATE_LIMITED");
                return;
            }
            answer.expect(until_then);
        }
        panic!("two hundred requests in a row for {path} are not too many");
    };
    let ada = new_id();
    refused_soon(&|_| gateway.user(ada, Role::Customer), "/products/mug", 200).await;
    // Tokens that are made up are counted by the address they come from.
    refused_soon(&|n| gateway.anonymous().with_token(format!("made up {n}")), "/products/mug", 401).await;
    refused_soon(&|_| gateway.anonymous(), "/products/mug", 200).await;
    // Also where there is no route, and for what is no call of the interface.
    refused_soon(&|_| gateway.anonymous(), "/nothing", 404).await;
    refused_soon(&|_| gateway.anonymous(), "//docs/", 200).await;
}

#[tokio::test]
async fn signing_in_has_a_stricter_limit_by_address() {
    let gateway = with_defaults().await;
    let tokens = user::Tokens { access_token: "a".into(), refresh_token: "r".into(), expires_in: 300 };
    gateway.upstream.answers("Login", &user::LoginResponse { tokens: Some(tokens.clone()) });
    gateway.upstream.answers("Refresh", &user::RefreshResponse { tokens: Some(tokens) });
    let body = json!({"email": "ada@example.com", "password": "correct horse battery"});
    let first = gateway.anonymous().post("/auth/login", &body).await.expect(200);
    assert_eq!(first.header("ratelimit-policy"), Some(r#""requests";q=100;w=2, "sign-in";q=20;w=4"#));
    assert!(first.header("ratelimit").unwrap().contains(r#""sign-in";r=19;t=1"#), "{first:?}");
    // Whoever they say they are. A place comes free five times a second, so that one attempt alone may still be let in.
    let refused_soon = async |client: Client, path: &str, body: &Value| {
        for _ in 0..200 {
            let answer = client.post(path, body).await;
            if answer.status == 429 {
                answer.problem(429, "RATE_LIMITED");
                return;
            }
        }
        panic!("two hundred attempts in a row at {path} are not too many");
    };
    refused_soon(gateway.customer(), "/auth/login", &body).await;
    let calls = gateway.upstream.calls("Login").len();
    refused_soon(gateway.anonymous(), "/auth/register", &json!({})).await;
    refused_soon(gateway.anonymous(), "/auth/refresh", &json!({"refresh_token": "r"})).await;
    assert_eq!(gateway.upstream.calls("Login").len(), calls);
    // Reading goes on, and so does leaving.
    gateway.anonymous().get("/products/mug").await.expect(200);
    gateway.upstream.answers("Logout", &user::LogoutResponse {});
    gateway.anonymous().post("/auth/logout", &json!({"refresh_token": "r"})).await.expect(204);
}

#[tokio::test]
async fn one_client_does_not_take_all_places() {
    let gateway = Gateway::start_with(|options| {
        options.edge.max_in_flight_per_client = 2;
        options.server.max_in_flight = 3;
    })
    .await;
    gateway.upstream.hangs("GetOrder");
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    let busy = gateway.customer();
    let held: Vec<_> = (0..2)
        .map(|_| {
            let busy = busy.clone();
            tokio::spawn(async move { busy.get(&format!("/orders/{ID}")).await })
        })
        .collect();
    until("both are worked on", async || gateway.upstream.calls("GetOrder").len() == 2).await;
    let answer = busy.get("/products/mug").await;
    answer.problem(429, "RATE_LIMITED");
    assert_eq!(answer.header("retry-after"), Some("1"));
    gateway.customer().get("/products/mug").await.expect(200);
    for request in held {
        request.abort();
    }
    until("room again", async || busy.get("/products/mug").await.status == 200).await;
}

#[tokio::test]
async fn maintenance_closes_the_interface_and_nothing_else() {
    let gateway = Gateway::start_unready(|options| options.edge.maintenance = true).await;
    let customer = gateway.customer();
    for request in [
        customer.request(Method::GET, "/products"),
        customer.request(Method::POST, "/orders").body("{}"),
        customer.request(Method::POST, "/webhooks/payments").body("{}"),
        customer.request(Method::DELETE, "/users/me"),
    ] {
        let answer = customer.send(request).await;
        answer.problem(503, "MAINTENANCE");
        assert_eq!(answer.header("retry-after"), Some("30"));
    }
    assert!(gateway.upstream.calls("ListProducts").is_empty());
    customer.get("//openapi.json").await.expect(200);
    customer.get("//.well-known/jwks.json").await.expect(200);
    tokio::time::timeout(Duration::from_secs(10), gateway.running.readiness().ready()).await.unwrap();
    let admin = gateway.running.addresses().admin;
    for probe in ["livez", "readyz"] {
        assert_eq!(reqwest::get(format!("http://{admin}/{probe}")).await.unwrap().status(), 200, "{probe}");
    }
}
