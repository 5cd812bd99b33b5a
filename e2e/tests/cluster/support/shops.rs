//! Shops as tests write and read them.

use serde_json::{Value, json};
use shop_operator::shop::Shop;

const CONSUL: &str = "http://consul-server.consul:8500";

/// A shop on SQLite behind an ingress.
pub(crate) fn smallest(host: &str) -> Value {
    json!({
        "version": "0.1.0",
        "consul": {"address": CONSUL},
        "gateway": {"ingress": {"host": host}},
        // Tests ask faster than people.
        "settings": {"rateLimit": {"requestsPerSecond": 10_000, "burst": 10_000}},
    })
}

/// A shop on PostgreSQL behind an ingress.
pub(crate) fn postgres(host: &str) -> Value {
    let url = |key: &str| json!({"urlSecretRef": {"name": "shop-databases", "key": key}});
    let mut spec = smallest(host);
    spec["database"] = json!({
        "engine": "postgres", "postgres": {"user": url("user"), "product": url("product"), "order": url("order")},
    });
    spec
}

/// Whether a condition is `True`; `None` while it is not there or unknown.
pub(crate) fn condition(shop: &Shop, name: &str) -> Option<bool> {
    match find(shop, name)?.0.as_str() {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    }
}

/// What a condition says.
pub(crate) fn message_of(shop: &Shop, name: &str) -> String {
    find(shop, name).map(|(_, message)| message).unwrap_or_default()
}

fn find(shop: &Shop, name: &str) -> Option<(String, String)> {
    let condition = shop.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == name)?;
    Some((condition.status.clone(), condition.message.clone()))
}
