//! A new version takes over while the shop is used.

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{ResourceExt as _, api::ListParams};
use serde_json::{Value, json};
use shop_bench::load::Mix;
use shop_operator::shop::Shop;

use crate::support::{Scene, all_served, condition, message_of, postgres, traffic, until};

/// Two pods of each process, so that one can go while the other serves.
fn replicated(host: &str) -> Value {
    let mut spec = postgres(host);
    let two = json!({"replicas": 2, "resources": {"requests": {"cpu": "20m"}}});
    spec["services"] = json!({"user": two, "product": two, "order": two});
    spec["gateway"]["replicas"] = json!(2);
    spec["gateway"]["resources"] = two["resources"].clone();
    spec
}

async fn running(name: &str) -> (Scene, Value) {
    let scene = Scene::alone(name).await;
    scene.postgres();
    let spec = replicated(&scene.host());
    scene.apply("demo", &spec).await;
    scene.ready("demo").await;
    (scene, spec)
}

#[tokio::test]
async fn a_new_version_with_a_migration_takes_over_and_no_request_fails() {
    let (scene, mut spec) = running("upgrade").await;
    let schema = |shop: &Shop| {
        let services = shop.status.as_ref().unwrap().services.clone();
        services.into_iter().find(|service| service.name == "product").and_then(|service| service.schema)
    };
    let before = schema(&scene.shop("demo").await).unwrap();
    let load = traffic(&scene, "demo", Mix::default()).await;
    spec["version"] = json!("0.1.1");
    scene.apply("demo", &spec).await;

    // Between the migration and the roll-out an old pod dies. Another of its kind has to come up on the new schema.
    let migrated = async || {
        let jobs = scene.api::<Job>().list(&ListParams::default()).await.unwrap();
        let done = |job: &Job| job.status.as_ref().is_some_and(|status| status.succeeded == Some(1));
        jobs.iter().any(|job| {
            job.name_any().starts_with("demo-product-migrate") && image_of(job).ends_with(":0.1.1") && done(job)
        })
    };
    until("product is migrated", migrated).await;
    let old = scene.pods("order").await.remove(0);
    scene.api::<Pod>().delete(&old.name_any(), &kube::api::DeleteParams::default()).await.unwrap();

    let shop = scene.ready("demo").await;
    all_served(load).await;
    assert_eq!(schema(&shop), Some(before + 1));
    for component in ["user", "product", "order", "gateway"] {
        for pod in scene.pods(component).await {
            let image = pod.spec.unwrap().containers[0].image.clone().unwrap();
            assert!(image.ends_with(":0.1.1"), "{image}");
        }
    }
}

fn image_of(job: &Job) -> String {
    job.spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref()?.containers.first()?.image.clone())
        .unwrap_or_default()
}

/// Upgrades to a version that goes wrong: the old one serves throughout, a condition says why, and the corrected manifest
/// goes on.
async fn goes_wrong(name: &str, version: &str, annotations: Value, of: &str, says: &[&str]) {
    let (scene, mut spec) = running(name).await;
    let load = traffic(&scene, "demo", Mix::default()).await;
    spec["version"] = json!(version);
    scene.apply_with("demo", &spec, &annotations).await;
    scene
        .until::<Shop>("demo", "a condition says what is wrong", |shop| {
            let message = message_of(shop, of);
            condition(shop, "Degraded") == Some(true) && says.iter().all(|word| message.contains(word))
        })
        .await;
    for component in ["user", "product", "order", "gateway"] {
        let serving = scene.pods(component).await.into_iter().filter(|pod| {
            let image = pod.spec.as_ref().unwrap().containers[0].image.clone().unwrap();
            let ready = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
            image.ends_with(":0.1.0")
                && ready.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
        });
        assert_eq!(serving.count(), 2, "{component}");
    }
    spec["version"] = json!("0.1.1");
    scene.apply("demo", &spec).await;
    scene.ready("demo").await;
    all_served(load).await;
}

#[tokio::test]
async fn a_migration_that_fails_changes_nothing_for_clients() {
    goes_wrong("failing", "0.1.1-failing", json!({}), "DatabaseMigrated", &["product", "a_table_that_is_not_there"])
        .await;
}

#[tokio::test]
async fn a_migration_that_hangs_changes_nothing_for_clients() {
    let deadline = json!({"shop-operator.io/migration-deadline-seconds": "15"});
    goes_wrong("hanging", "0.1.1-hanging", deadline, "DatabaseMigrated", &["product", "did not end within 15 s"]).await;
}

#[tokio::test]
async fn an_image_that_crashes_changes_nothing_for_clients() {
    goes_wrong("crashing", "0.1.1-crashing", json!({}), "Ready", &["product"]).await;
}
