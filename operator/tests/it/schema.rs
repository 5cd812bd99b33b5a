//! What the API server takes for a Shop, and what it says of what it does not take.

use kube::{
    Api,
    api::{DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

use crate::support::kubernetes;

/// Shops as users write them: with whatever fields they like.
fn written(namespace: &str, client: kube::Client) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("shop-operator.io", "v1alpha1", "Shop"));
    Api::namespaced_with(client, namespace, &kind)
}

fn shop(name: &str, spec: &Value) -> DynamicObject {
    let shop = json!({
        "apiVersion": "shop-operator.io/v1alpha1", "kind": "Shop", "metadata": {"name": name}, "spec": spec,
    });
    serde_json::from_value(shop).unwrap()
}

#[tokio::test]
async fn the_smallest_shop_is_taken_and_has_its_defaults() {
    let Some(kubernetes) = kubernetes().await else { return };
    let namespace = kubernetes.namespace("schema").await;
    let shops = written(&namespace, kubernetes.client());
    let smallest = shop("demo", &json!({"version": "0.1.0", "consul": {"address": "http://consul-server:8500"}}));
    let taken = shops.create(&PostParams::default(), &smallest).await.unwrap();
    assert_eq!(taken.data["spec"]["currency"], "USD");
    assert_eq!(taken.data["spec"]["database"]["engine"], "sqlite");
}

#[tokio::test]
async fn a_shop_without_a_version_is_refused() {
    let Some(kubernetes) = kubernetes().await else { return };
    let namespace = kubernetes.namespace("schema").await;
    let shops = written(&namespace, kubernetes.client());
    let nameless = shop("demo", &json!({"consul": {"address": "http://consul-server:8500"}}));
    let refused = shops.create(&PostParams::default(), &nameless).await.unwrap_err().to_string();
    assert!(refused.contains("spec.version"), "{refused}");
}

/// Asks the API server, without storing anything.
async fn tried(shops: &Api<DynamicObject>, name: &str, spec: &Value) -> Result<DynamicObject, String> {
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    shops.create(&dry_run, &shop(name, spec)).await.map_err(|error| error.to_string())
}

/// The smallest spec with one field more.
fn with(field: &str, value: Value) -> Value {
    let mut spec = json!({"version": "0.1.0", "consul": {"address": "http://consul-server:8500"}});
    spec[field] = value;
    spec
}

fn urls() -> Value {
    let url = json!({"urlSecretRef": {"name": "db", "key": "url"}});
    json!({"user": url, "product": url, "order": url})
}

#[tokio::test]
async fn what_works_is_taken_whatever_is_said_to_be_left_out() {
    let Some(kubernetes) = kubernetes().await else { return };
    let namespace = kubernetes.namespace("schema").await;
    let shops = written(&namespace, kubernetes.client());
    let reference = json!({"name": "db", "key": "url"});
    for spec in [
        with(
            "consul",
            json!({"address": "https://[::1]:8501", "caSecretRef": reference, "operatorTokenSecretRef": null}),
        ),
        with("database", json!({"engine": "postgres", "postgres": urls(), "sqlite": null, "mysql": null})),
        with("database", json!({"engine": "mysql", "mysql": urls()})),
        with("database", json!({"sqlite": {"storage": "1Gi", "storageClassName": null}})),
        with("services", json!({"user": {"replicas": 1, "autoscaling": null, "resources": {"limits": {"cpu": 1}}}})),
        with("gateway", json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 6}, "replicas": null})),
        with(
            "gateway",
            json!({"trustedProxies": ["10.0.0.0/8", "fd00::/8"], "ingress": {"host": "shop.localhost", "className": null, "annotations": {"a/b": "c"}}}),
        ),
        with(
            "settings",
            json!({"rateLimit": null, "corsOrigins": null, "paymentTimeout": null, "logLevel": null, "maintenance": null}),
        ),
        with(
            "settings",
            json!({"rateLimit": {"requestsPerSecond": 50, "burst": 100}, "corsOrigins": ["https://shop.example", "http://[::1]:8080"],
            "paymentTimeout": "15m", "logLevel": "warn,shop_order=debug", "traceSampleRatio": "0.1", "maintenance": false}),
        ),
        with("settings", json!({"corsOrigins": ["*"]})),
        with("currency", json!("AED")),
        with("currency", json!("ZWG")),
        with(
            "image",
            json!({"registry": "localhost:5000/shop", "digests": {"user": format!("sha256:{}", "a".repeat(64))}}),
        ),
        with("telemetry", json!({"otlpEndpoint": "http://collector:4317"})),
        with("events", json!({"sink": "https://[::1]:8443/orders/%C3%A9?from=shop&to=a:b"})),
        with("events", json!({"sink": null})),
        with("consul", json!({"address": "http://consul:65535/"})),
        with("settings", json!({"corsOrigins": ["https://a:9", "http://[::1]:60000"]})),
        with("image", json!({"registry": "images.example:50000/shop"})),
    ] {
        tried(&shops, "demo", &spec).await.unwrap_or_else(|error| panic!("{spec} is refused: {error}"));
    }
    tried(&shops, &"a".repeat(40), &with("paused", json!(true))).await.unwrap();
}

#[tokio::test]
async fn what_cannot_work_is_refused_with_the_field_and_what_to_do() {
    let Some(kubernetes) = kubernetes().await else { return };
    let namespace = kubernetes.namespace("schema").await;
    let shops = written(&namespace, kubernetes.client());
    let reference = json!({"name": "db", "key": "url"});
    let two = json!({"minReplicas": 1, "maxReplicas": 2});
    for (spec, told) in [
        (with("version", json!("a:b")), "must be an image's tag"),
        (
            with("services", json!({"user": {"replicas": 2}})),
            "spec.services.user: Invalid value: a SQLite file allows one pod",
        ),
        (
            with("services", json!({"order": {"autoscaling": two}})),
            "spec.services.order: Invalid value: a SQLite file allows one pod",
        ),
        (with("database", json!({"engine": "postgres"})), "set spec.database.postgres"),
        (with("database", json!({"engine": "mysql", "mysql": null})), "set spec.database.mysql"),
        (
            with("database", json!({"engine": "postgres", "postgres": urls(), "mysql": urls()})),
            "mysql is only for engine mysql",
        ),
        (
            with("database", json!({"engine": "postgres", "postgres": urls(), "sqlite": {}})),
            "sqlite is only for engine sqlite",
        ),
        (with("database", json!({"postgres": urls()})), "postgres is only for engine postgres"),
        (with("database", json!({"engine": "oracle"})), "supported values"),
        (with("database", json!({"sqlite": {"storage": "big"}})), "must be a quantity"),
        (with("gateway", json!({"replicas": 2, "autoscaling": two})), "either replicas or autoscaling"),
        (
            with("gateway", json!({"autoscaling": {"minReplicas": 3, "maxReplicas": 2}})),
            "minReplicas must be at most maxReplicas",
        ),
        (with("gateway", json!({"replicas": 0})), "spec.gateway.replicas"),
        (with("gateway", json!({"replicas": 101})), "spec.gateway.replicas"),
        (with("gateway", json!({"ingress": {"host": "http://shop.example"}})), "must be a host name"),
        (with("gateway", json!({"ingress": {"host": "*.shop.example"}})), "must be a host name"),
        (with("gateway", json!({"ingress": {"host": "10.0.0.1"}})), "must be a host name"),
        (with("gateway", json!({"trustedProxies": ["10.0.0.1"]})), "10.1.2.3/32 for one address"),
        (with("gateway", json!({"resources": {"limits": {"cpu": "lots"}}})), "spec.gateway.resources.limits.cpu"),
        (with("consul", json!({"address": "consul:8500"})), "must be http:// or https://"),
        (
            with("consul", json!({"address": "http://consul:8500", "caSecretRef": reference})),
            "caSecretRef is only for an address with https://",
        ),
        (with("image", json!({"registry": "https://ghcr.io/x"})), "no scheme"),
        (with("image", json!({"digests": {"user": "sha256:abc"}})), "spec.image.digests.user"),
        (with("currency", json!("usd")), "ISO 4217"),
        (with("currency", json!("XXX")), "ISO 4217"),
        (with("currency", json!("DEM")), "ISO 4217"),
        (with("settings", json!({"rateLimit": {"requestsPerSecond": 0, "burst": 1}})), "requestsPerSecond"),
        (with("settings", json!({"corsOrigins": ["*", "https://a"]})), "must stand alone"),
        (with("settings", json!({"corsOrigins": ["https://a/"]})), "must be an origin"),
        (with("settings", json!({"paymentTimeout": "0s"})), "more than 0 and at most a year"),
        (with("settings", json!({"paymentTimeout": "8761h"})), "more than 0 and at most a year"),
        (with("settings", json!({"logLevel": "loud"})), "must be a level"),
        (with("settings", json!({"traceSampleRatio": "1.1"})), "from 0 to 1"),
        (with("telemetry", json!({"otlpEndpoint": "collector"})), "http://collector:4317"),
        (with("telemetry", json!({"otlpEndpoint": "http://collector:65536"})), "http://collector:4317"),
        (with("consul", json!({"address": "http://consul:0"})), "must be http:// or https://"),
        (with("settings", json!({"corsOrigins": ["https://a:70000"]})), "must be an origin"),
        (with("image", json!({"registry": "images.example:99999/shop"})), "no scheme"),
        (with("events", json!({"sink": "https://sink.example:99999/"})), "https://sink.example/orders"),
        (with("events", json!({"sink": "sink.example"})), "https://sink.example/orders"),
        (with("events", json!({"sink": "https://user:secret@sink.example/"})), "https://sink.example/orders"),
        (with("events", json!({"sink": "https://sink.example/a b"})), "https://sink.example/orders"),
    ] {
        let refused = tried(&shops, "demo", &spec).await.expect_err(&format!("{spec} is taken"));
        assert!(refused.contains(told), "{spec}: {refused}");
    }
    for name in ["a".repeat(41), "9a".to_owned(), "a.b".to_owned()] {
        let refused = tried(&shops, &name, &with("paused", json!(true))).await.expect_err(&name);
        assert!(refused.contains("the name of a Shop must be"), "{refused}");
    }
}

#[tokio::test]
async fn what_cannot_change_stays_and_is_said_to() {
    let Some(kubernetes) = kubernetes().await else { return };
    let namespace = kubernetes.namespace("schema").await;
    let shops = written(&namespace, kubernetes.client());
    let sqlite = |size: &str, class: &str| json!({"sqlite": {"storage": size, "storageClassName": class}});
    let stored = shop("demo", &with("database", sqlite("2Gi", "fast")));
    let stored = shops.create(&PostParams::default(), &stored).await.unwrap();
    let change = |field: &str, value: Value| {
        let mut changed = stored.clone();
        changed.data["spec"][field] = value;
        let shops = shops.clone();
        async move { shops.replace("demo", &PostParams { dry_run: true, ..PostParams::default() }, &changed).await }
    };
    change("database", sqlite("3Gi", "fast")).await.unwrap();
    // A growth that the volume's class refused is taken back like this.
    change("database", sqlite("1Gi", "fast")).await.unwrap();
    for (field, value, told) in [
        ("currency", json!("EUR"), "the currency can't change"),
        ("database", json!({"engine": "postgres", "postgres": urls()}), "the engine can't change"),
        ("database", sqlite("2Gi", "slow"), "a volume's class can't change"),
    ] {
        let refused = change(field, value).await.unwrap_err().to_string();
        assert!(refused.contains(told), "{field}: {refused}");
    }
}
