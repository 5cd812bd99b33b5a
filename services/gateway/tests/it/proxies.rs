//! Behind proxies: whose address counts, and who is believed.

use std::num::NonZeroU32;

use reqwest::Method;
use serde_json::json;
use shop_gateway::Options;
use shop_proto::user;

use crate::support::{Client, Gateway, wire};

fn behind_loopback(options: &mut Options) {
    options.edge.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
}

async fn from(client: &Client, forwarded_for: &str) -> u16 {
    client.send(client.request(Method::GET, "/products/mug").header("x-forwarded-for", forwarded_for)).await.status
}

#[tokio::test]
async fn a_login_is_counted_for_the_client_and_not_for_the_proxy() {
    let tokens = user::Tokens { access_token: "a".into(), refresh_token: "r".into(), expires_in: 300 };
    let body = json!({"email": "ada@example.com", "password": "correct horse battery"});
    for (trusts, seen) in [(true, "203.0.113.7"), (false, "127.0.0.1")] {
        let gateway = Gateway::start_with(|options| {
            if trusts {
                behind_loopback(options);
            }
        })
        .await;
        gateway.upstream.answers("Login", &user::LoginResponse { tokens: Some(tokens.clone()) });
        let client = gateway.anonymous();
        let request = client
            .request(Method::POST, "/auth/login")
            .header("x-forwarded-for", "198.51.100.1, 203.0.113.7")
            .json(&body);
        client.send(request).await.expect(200);
        assert_eq!(gateway.upstream.last::<user::LoginRequest>("Login").client_address, seen);
    }
}

#[tokio::test]
async fn each_client_behind_a_proxy_has_a_bucket_of_its_own() {
    let gateway = Gateway::start_with(|options| {
        behind_loopback(options);
        options.edge.rate_limit = NonZeroU32::new(1).unwrap();
        options.edge.rate_burst = NonZeroU32::new(2).unwrap();
    })
    .await;
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    let client = gateway.anonymous();
    for address in ["203.0.113.7", "203.0.113.8", "2001:db8:1:2::1"] {
        assert_eq!((from(&client, address).await, from(&client, address).await), (200, 200), "{address}");
        assert_eq!(from(&client, address).await, 429, "{address}");
    }
    // What a client writes itself stands left of what the proxy heard, and is not read.
    assert_eq!(from(&client, "192.0.2.99, 203.0.113.7").await, 429);
    // A subscriber has a whole /64, and can't have another bucket for each address in it.
    assert_eq!(from(&client, "2001:db8:1:2:ffff:ffff:ffff:ffff").await, 429);
    assert_eq!(from(&client, "2001:db8:1:3::1").await, 200);
    // What is no address is the proxy's own.
    assert_eq!((from(&client, "unknown").await, from(&client, "a, b").await), (200, 200));
    assert_eq!((from(&client, "0").await, from(&client, "127.0.0.1").await), (429, 429));
}

#[tokio::test]
async fn nobody_chooses_an_address_without_a_proxy() {
    let gateway = Gateway::start_with(|options| {
        options.edge.rate_limit = NonZeroU32::new(1).unwrap();
        options.edge.rate_burst = NonZeroU32::new(2).unwrap();
    })
    .await;
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    let client = gateway.anonymous();
    assert_eq!((from(&client, "203.0.113.1").await, from(&client, "203.0.113.2").await), (200, 200));
    assert_eq!(from(&client, "203.0.113.3").await, 429);
}

#[tokio::test]
async fn https_is_asked_for_only_where_it_is() {
    let gateway = Gateway::start_with(behind_loopback).await;
    let client = gateway.anonymous();
    let ask = async |protocol: &str| {
        let request = client.request(Method::GET, "//.well-known/jwks.json").header("x-forwarded-proto", protocol);
        client.send(request).await.expect(200).header("strict-transport-security").map(str::to_owned)
    };
    assert_eq!(ask("https").await.as_deref(), Some("max-age=63072000"));
    assert_eq!(ask("http").await, None);
    let gateway = Gateway::start().await;
    let client = gateway.anonymous();
    let request = client.request(Method::GET, "//.well-known/jwks.json").header("x-forwarded-proto", "https");
    assert_eq!(client.send(request).await.header("strict-transport-security"), None);
}
