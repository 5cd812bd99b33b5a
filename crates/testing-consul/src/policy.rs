//! Access control: everything is denied that a token does not allow.

use serde_json::{Value, json};

use crate::agent::Consul;

/// May do everything, where access is controlled.
pub const MANAGEMENT_TOKEN: &str = "7f4a9e30-1f0c-4c0e-8f0e-a0a0a0a0a0a0";

pub(crate) fn enabled() -> Value {
    json!({
        "enabled": true,
        "default_policy": "deny",
        "tokens": {"initial_management": MANAGEMENT_TOKEN, "agent": MANAGEMENT_TOKEN},
    })
}

impl Consul {
    /// A token with these rules and no others.
    pub async fn token(&self, name: &str, rules: &str) -> String {
        self.put("/v1/acl/policy", &json!({"Name": name, "Rules": rules})).await;
        let token = self.put("/v1/acl/token", &json!({"Policies": [{"Name": name}]})).await;
        token["SecretID"].as_str().unwrap().to_owned()
    }
}
