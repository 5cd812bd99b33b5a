//! Consul, as anyone may read it.

use serde_json::Value;

pub(crate) struct Registry {
    http: reqwest::Client,
    base: String,
}

/// An instance of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) passing: bool,
}

impl Registry {
    pub(crate) fn new(base: &str) -> Self {
        Self { http: reqwest::Client::builder().no_proxy().build().unwrap(), base: base.to_owned() }
    }

    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        self.http.get(format!("{}{path}", self.base)).send().await.ok()?.error_for_status().ok()?.json().await.ok()
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) {
        let sent = self.http.put(format!("{}{path}", self.base)).json(body).send().await.unwrap();
        assert!(sent.status().is_success(), "{path}: {}", sent.status());
    }

    /// The instances of a service under a Shop's node.
    pub(crate) async fn instances(&self, uid: &str, service: &str) -> Vec<Instance> {
        let found = self.get(&format!("/v1/health/service/{service}")).await.unwrap();
        let own = |entry: &&Value| entry["Node"]["Node"] == format!("shop-{uid}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        found
            .as_array()
            .unwrap()
            .iter()
            .filter(own)
            .map(|entry| Instance {
                id: text(&entry["Service"]["ID"]),
                address: text(&entry["Service"]["Address"]),
                passing: entry["Checks"].as_array().unwrap().iter().all(|check| check["Status"] == "passing"),
            })
            .collect()
    }

    /// Whether anything of a Shop is there: its node, or its settings.
    pub(crate) async fn knows(&self, namespace: &str, shop: &str, uid: &str) -> bool {
        let node = self.get(&format!("/v1/catalog/node/shop-{uid}")).await.is_some_and(|node| !node.is_null());
        node || self.get(&format!("/v1/kv/shops/{namespace}/{shop}/config")).await.is_some()
    }
}
