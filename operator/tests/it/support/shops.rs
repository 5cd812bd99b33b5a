//! Shops as tests write and read them.

use serde_json::{Value, json};
use shop_operator::shop::Shop;

/// The smallest spec there is.
pub(crate) fn smallest(consul: &str) -> Value {
    json!({"version": "0.1.0", "consul": {"address": consul}})
}

/// A spec with databases on a server, whose URLs are in the Secret `db`.
pub(crate) fn postgres(consul: &str) -> Value {
    let url = |key: &str| json!({"urlSecretRef": {"name": "db", "key": key}});
    json!({
        "version": "0.1.0",
        "consul": {"address": consul},
        "database": {"engine": "postgres", "postgres": {"user": url("user"), "product": url("product"), "order": url("order")}},
    })
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
    find(shop, name).map(|(_, _, message)| message).unwrap_or_default()
}

/// Why it is so, in one word.
pub(crate) fn reason_of(shop: &Shop, name: &str) -> String {
    find(shop, name).map(|(_, reason, _)| reason).unwrap_or_default()
}

fn find(shop: &Shop, name: &str) -> Option<(String, String, String)> {
    let condition = shop.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == name)?;
    Some((condition.status.clone(), condition.reason.clone(), condition.message.clone()))
}
