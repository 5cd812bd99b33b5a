//! Shops for tests, as manifests.

use serde_json::{Value, json};

use crate::shop::Shop;

/// A Shop as the API server would give it: with a uid and a generation.
pub(crate) fn shop(spec: &Value) -> Shop {
    let manifest = json!({
        "apiVersion": "shop-operator.io/v1alpha1",
        "kind": "Shop",
        "metadata": {"name": "demo", "namespace": "shops", "uid": "7f8b5c1e-0001", "generation": 1},
        "spec": spec,
    });
    serde_json::from_value(manifest).unwrap()
}

/// All that has to be said.
pub(crate) fn smallest() -> Shop {
    shop(&json!({"version": "1.0.0", "consul": {"address": "http://consul-server:8500"}}))
}

/// On a database server, one pod each.
pub(crate) fn postgres() -> Shop {
    shop(&json!({
        "version": "1.0.0",
        "consul": {"address": "http://consul-server.consul:8500"},
        "database": {"engine": "postgres", "postgres": urls()},
    }))
}

/// With everything that can be said.
pub(crate) fn production() -> Shop {
    let mut shop = shop(&json!({
        "version": "1.2.3",
        "image": {
            "registry": "registry.example/shop",
            "pullPolicy": "Always",
            "pullSecrets": [{"name": "registry"}],
            "digests": {"order": "sha256:0000000000000000000000000000000000000000000000000000000000000000"},
        },
        "consul": {
            "address": "https://consul.example:8501",
            "operatorTokenSecretRef": {"name": "consul", "key": "operator"},
            "serviceTokenSecretRef": {"name": "consul", "key": "service"},
            "caSecretRef": {"name": "consul", "key": "ca"},
        },
        "database": {"engine": "mysql", "mysql": urls()},
        "gateway": {
            "autoscaling": {"minReplicas": 2, "maxReplicas": 8},
            "ingress": {
                "host": "shop.example",
                "className": "traefik",
                "tlsSecretName": "shop-tls",
                "annotations": {"example.com/timeout": "30s"},
            },
            "trustedProxies": ["10.0.0.0/8", "192.0.2.7"],
        },
        "services": {
            "user": {"replicas": 2, "resources": {"requests": {"cpu": "250m"}, "limits": {"memory": "512Mi"}}},
            "product": {"autoscaling": {"minReplicas": 3, "maxReplicas": 6, "targetCPUUtilizationPercentage": 60}},
            "order": {"replicas": 2},
        },
        "currency": "EUR",
        "settings": {
            "rateLimit": {"requestsPerSecond": 50, "burst": 100},
            "corsOrigins": ["https://shop.example"],
            "paymentTimeout": "20m",
        },
        "telemetry": {"otlpEndpoint": "http://collector.monitoring:4317"},
        "events": {"sink": "https://sink.example:8443/orders?from=shop"},
    }));
    let deadline = (crate::build::names::MIGRATION_DEADLINE.to_owned(), "120".to_owned());
    shop.metadata.annotations = Some([deadline].into());
    shop
}

fn urls() -> Value {
    let url = |service: &str| json!({"urlSecretRef": {"name": "database", "key": service}});
    json!({"user": url("user"), "product": url("product"), "order": url("order")})
}
