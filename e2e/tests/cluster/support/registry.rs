//! Consul, as anyone may read it. The way to it is the API server's, which reaches every Service on every cluster.

use http::Request;
use kube::Client;
use serde_json::Value;

const SERVICE: &str = "/api/v1/namespaces/consul/services/consul-server:8500/proxy";

pub(crate) struct Registry {
    client: Client,
}

/// An instance of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) passing: bool,
}

impl Registry {
    pub(crate) fn new(client: &Client) -> Self {
        Self { client: client.clone() }
    }

    /// What it answers; `None` when it does not, or there is no such thing.
    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        let request = Request::get(format!("{SERVICE}{path}")).body(Vec::new()).unwrap();
        serde_json::from_str(&self.client.request_text(request).await.ok()?).ok()
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) {
        let request = Request::put(format!("{SERVICE}{path}")).body(body.to_string().into_bytes()).unwrap();
        self.client.request_text(request).await.unwrap();
    }

    /// The instances of a service under a Shop's node.
    pub(crate) async fn instances(&self, uid: &str, service: &str) -> Vec<Instance> {
        let found = self.get(&format!("/v1/health/service/{service}")).await.expect("Consul answers");
        let own = |entry: &&Value| entry["Node"]["Node"] == format!("shop-{uid}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let instance = |entry: &Value| Instance {
            id: text(&entry["Service"]["ID"]),
            address: text(&entry["Service"]["Address"]),
            passing: entry["Checks"].as_array().unwrap().iter().all(|check| check["Status"] == "passing"),
        };
        found.as_array().unwrap().iter().filter(own).map(instance).collect()
    }

    /// Whether anything of a Shop is there: its node, or its settings.
    pub(crate) async fn knows(&self, namespace: &str, shop: &str, uid: &str) -> bool {
        let node = self.get(&format!("/v1/catalog/node/shop-{uid}")).await.is_some_and(|node| !node.is_null());
        node || self.get(&format!("/v1/kv/shops/{namespace}/{shop}/config")).await.is_some()
    }
}
