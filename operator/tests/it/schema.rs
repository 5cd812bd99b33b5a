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
