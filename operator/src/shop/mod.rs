//! The `Shop` resource: what users write, with its schema, defaults and rules, and the status they read.

#![expect(unreachable_pub, reason = "the copies that KubeSchema makes of each type stand in functions")]

mod component;
mod database;
mod gateway;
mod image;
mod process;
mod reference;
mod rule;
mod schema;
mod settings;
mod spec;
mod status;

pub use component::{Autoscaling, Component, Components, DatabaseService, ServiceSpec, Services};
pub use database::{Database, Engine, ServerDatabase, Sqlite};
pub use gateway::{Gateway, Ingress};
pub use image::{Digests, Image, PullPolicy};
pub use reference::{LocalReference, SecretKeyReference};
pub use settings::{RateLimit, Settings};
pub use spec::{Consul, Events, Shop, ShopSpec, Telemetry};
pub use status::{ConditionType, Phase, ServiceStatus, ShopStatus};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Shop;

    /// A definition is replaced before the operator, and stays when that is rolled back: the API server then fills in fields
    /// that this one has never heard of. Misspelt ones it refuses itself.
    #[test]
    fn fields_of_a_later_definition_are_left_alone() {
        let later = json!({
            "apiVersion": "shop-operator.io/v1alpha1",
            "kind": "Shop",
            "metadata": {"name": "demo"},
            "spec": {
                "version": "1.0.0",
                "consul": {"address": "http://consul-server:8500", "later": {}},
                "database": {"later": {}, "sqlite": {"later": 1}},
                "gateway": {"later": true, "ingress": {"host": "shop.example", "later": "x"}},
                "image": {"later": [], "digests": {"later": "x"}},
                "services": {"later": {}, "user": {"later": {}, "autoscaling": {"minReplicas": 1, "maxReplicas": 2, "later": 1}}},
                "settings": {"later": 1, "rateLimit": {"requestsPerSecond": 1, "burst": 1, "later": 1}},
                "telemetry": {"later": null},
                "events": {"later": {}},
                "later": {},
            },
            "status": {"later": 1, "conditions": []},
        });
        let shop: Shop = serde_json::from_value(later).unwrap();
        assert!(!serde_json::to_string(&shop).unwrap().contains("later"));
    }
}
