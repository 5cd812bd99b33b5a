//! What is in a namespace, for comparing: everything that a Shop makes, without what differs from run to run.

use std::collections::BTreeMap;

use kube::{
    Api, Client,
    api::{DynamicObject, ListParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

/// Kinds of objects that a Shop is made of.
pub(crate) const KINDS: [(&str, &str, &str); 11] = [
    ("", "v1", "ServiceAccount"),
    ("", "v1", "ConfigMap"),
    ("", "v1", "Secret"),
    ("", "v1", "Service"),
    ("", "v1", "PersistentVolumeClaim"),
    ("apps", "v1", "Deployment"),
    ("batch", "v1", "Job"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler"),
    ("policy", "v1", "PodDisruptionBudget"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
    ("networking.k8s.io", "v1", "Ingress"),
];

/// Objects of a kind, whatever it is.
pub(crate) fn api(client: Client, namespace: &str, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::namespaced_with(client, namespace, &resource)
}

/// The specs of all objects of a Shop by kind and name. Names and contents that chance or a uid has a part in are told by
/// their shape alone.
pub(crate) async fn all_of(client: &Client, namespace: &str, shop: &str) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let labels = ListParams::default().labels(&format!("shop-operator.io/shop={shop}"));
    for (group, version, kind) in KINDS {
        let listed = api(client.clone(), namespace, group, version, kind).list(&labels).await.unwrap();
        for object in listed {
            let mut name = object.metadata.name.clone().unwrap();
            if kind == "Job" {
                // Its end is a digest with the Shop's uid in it.
                name.truncate(name.rfind('-').unwrap());
            }
            let uid = object.metadata.owner_references.iter().flatten().map(|owner| owner.uid.clone()).next();
            let content = json!({
                "spec": object.data.get("spec"), "data": keys(object.data.get("data")),
                "owned": uid.is_some(), "finalizers": object.metadata.finalizers,
            });
            let told = shape(&content, uid.as_deref(), namespace);
            assert!(all.insert(format!("{kind}/{name}"), told).is_none(), "two of {kind} {name}");
        }
    }
    all
}

fn keys(data: Option<&Value>) -> Vec<&String> {
    data.and_then(Value::as_object).map(|data| data.keys().collect()).unwrap_or_default()
}

/// Without what an object has of the Shop's uid and of the cluster.
fn shape(content: &Value, uid: Option<&str>, namespace: &str) -> Value {
    let text = content.to_string().replace(uid.unwrap_or("no uid"), "<uid>").replace(namespace, "<namespace>");
    let mut told: Value = serde_json::from_str(&text).unwrap();
    without(
        &mut told,
        &[
            "clusterIP",
            "clusterIPs",
            "controller-uid",
            "batch.kubernetes.io/controller-uid",
            "job-name",
            "batch.kubernetes.io/job-name",
            "shop-operator.io/checksum",
            "nodePort",
            "volumeName",
        ],
    );
    told
}

fn without(value: &mut Value, names: &[&str]) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !names.contains(&name.as_str()));
            fields.values_mut().for_each(|field| without(field, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without(item, names)),
        _ => {}
    }
}
