//! Settings change in Consul's key-value store while the shop is used.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shop_bench::load::Mix;

use super::{Consul, Fleet, Layout, load, server};
use crate::{
    SETTLE_BOUND,
    client::{Client, order_of},
};

/// How soon every gateway goes by a change.
const SEEN: Duration = Duration::from_secs(2);
/// One after the other, so that requests are under way during some of them.
const CHANGES: usize = 20;
const PATH: &str = "/v1/kv/shops/default/shop/config";
const ORIGIN: &str = "https://shop.example";

#[tokio::test]
async fn a_change_reaches_every_gateway_and_an_invalid_one_none() {
    let Some(server) = server("SHOP_TEST_POSTGRES_URL") else { return };
    let consul = Consul::start().await;
    let layout = Layout { user: 1, product: 1, order: 2, ..Layout::three(server) };
    let fleet = Fleet::start(layout, &consul).await;
    let load = load::on(&fleet, Mix::default()).await;

    for number in 1..=CHANGES {
        gateways_take(&consul, &fleet, &format!("https://shop-{number}.example"), &json!({})).await;
    }

    let put = Instant::now();
    gateways_take(&consul, &fleet, ORIGIN, &json!({"paymentTimeout": "42m"})).await;
    for order in fleet.of("order") {
        while order.debug().await["settings"]["values"]["paymentTimeout"] != "42m" {
            assert!(put.elapsed() < SEEN, "{} has not seen the change", order.instance);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert!(minutes_to_pay(&fleet).await > 40, "what is reserved now has the new time");

    consul.put(PATH, &json!({"corsOrigins": [ORIGIN], "paymentTimeout": "soon"})).await;
    let put = Instant::now();
    for gateway in fleet.of("gateway") {
        while gateway.metric("shop_settings_documents_total", "outcome=\"refused\"").await < 1 {
            assert!(put.elapsed() < SEEN, "{} has not counted the refusal", gateway.instance);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    for gateway in fleet.gateways() {
        assert!(allows(&gateway, ORIGIN).await, "{gateway} let go of the last good settings");
    }
    load::all_served(load, &fleet).await;
    fleet.settled_clean(SETTLE_BOUND).await;
}

/// How long an order that is placed now may stay unpaid.
async fn minutes_to_pay(fleet: &Fleet) -> u64 {
    let product = Client::admin(fleet).await.product(100, 1).await;
    let (customer, _) = Client::customer(fleet).await;
    let placed = customer.order_until_settled("for-the-settings", &order_of(product, 1)).await.expect(201);
    let expires: shop_types::Instant = placed.body["expires_at"].as_str().unwrap().parse().unwrap();
    expires.since(shop_types::Instant::now()).as_secs() / 60
}

/// Writes settings with an origin, and sees every gateway go by it.
async fn gateways_take(consul: &Consul, fleet: &Fleet, origin: &str, others: &Value) {
    let mut settings = others.clone();
    settings["corsOrigins"] = json!([origin]);
    consul.put(PATH, &settings).await;
    let put = Instant::now();
    for gateway in fleet.gateways() {
        while !allows(&gateway, origin).await {
            assert!(put.elapsed() < SEEN, "{gateway} has not seen the change");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Whether the gateway lets pages of the origin read its answers.
async fn allows(gateway: &str, origin: &str) -> bool {
    let request = reqwest::Client::new().get(format!("{gateway}/api/v1/products")).header("origin", origin);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.headers().get("access-control-allow-origin").is_some_and(|allowed| allowed == origin)
}
