//! Nothing stays of a Shop that is deleted but its data.

use std::time::{Duration, Instant};

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Secret},
    events::v1::Event,
};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use crate::support::{Scene, kubectl, smallest, until};

/// What is made of a Shop, less what holds data.
const GOES: &str = "deployments,replicasets,pods,jobs,services,ingresses,configmaps,serviceaccounts,networkpolicies,\
                    poddisruptionbudgets,horizontalpodautoscalers,secrets";
/// A minute for Consul, and as long as pods take to end.
const BOUND: Duration = Duration::from_mins(2);

fn left(scene: &Scene) -> Vec<String> {
    let label = "shop-operator.io/shop=demo";
    let listed = kubectl(&["get", GOES, "--namespace", &scene.namespace, "--selector", label, "--output", "name"]);
    listed.lines().filter(|name| *name != "secret/demo-admin").map(str::to_owned).collect()
}

#[tokio::test]
async fn a_shop_that_is_deleted_leaves_its_data_and_nothing_else() {
    let scene = Scene::set("deleted").await;
    scene.apply("demo", &smallest(&scene.host())).await;
    let uid = scene.ready("demo").await.uid().unwrap();
    assert!(scene.registry().knows(&scene.namespace, "demo", &uid).await);
    let begun = Instant::now();
    scene.delete("demo").await;
    println!("deleted within {:.1} s", begun.elapsed().as_secs_f64());
    assert!(!scene.registry().knows(&scene.namespace, "demo", &uid).await);
    until("no object is left", async || left(&scene).is_empty()).await;
    let claims = scene.api::<PersistentVolumeClaim>().list(&ListParams::default()).await.unwrap();
    assert_eq!(claims.items.len(), 3);
    assert!(scene.api::<Secret>().get_opt("demo-admin").await.unwrap().is_some());

    // Another of the name finds them, and takes them over when it is told to.
    scene.apply("demo", &smallest(&scene.host())).await;
    scene
        .until::<shop_operator::shop::Shop>("demo", "it says that there are volumes", |shop| {
            shop.status
                .iter()
                .flat_map(|status| &status.conditions)
                .any(|condition| condition.reason == "VolumeConflict")
        })
        .await;
    scene.apply_with("demo", &smallest(&scene.host()), &json!({"shop-operator.io/adopt": "true"})).await;
    scene.ready("demo").await;
}

#[tokio::test]
async fn row_14_a_shop_goes_within_bounded_time_although_consul_is_gone() {
    let scene = Scene::alone("abandoned").await;
    scene.apply("demo", &smallest(&scene.host())).await;
    scene.ready("demo").await;
    let consul: Api<StatefulSet> = Api::namespaced(scene.cluster.client.clone(), "consul");
    let scale = async |replicas: i32| {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        consul.patch_scale("consul-server", &PatchParams::default(), &patch).await.unwrap();
    };
    scale(0).await;
    until("Consul is gone", async || scene.registry().get("/v1/status/leader").await.is_none()).await;
    let begun = Instant::now();
    scene.delete("demo").await;
    let took = begun.elapsed();
    println!("without Consul deleted within {:.1} s", took.as_secs_f64());
    let events = scene.api::<Event>().list(&ListParams::default()).await.unwrap();
    scale(1).await;
    until("Consul is back", async || {
        scene.registry().get("/v1/status/leader").await.is_some_and(|leader| leader != json!(""))
    })
    .await;
    assert!(took < BOUND, "{took:?}");
    let reasons: Vec<_> = events.iter().filter_map(|event| event.reason.as_deref()).collect();
    assert!(reasons.contains(&"ConsulAbandoned"), "{reasons:?}");
    until("no object is left", async || left(&scene).is_empty()).await;
}
