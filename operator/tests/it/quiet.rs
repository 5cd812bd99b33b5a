//! Nothing is written or said that was written or said before.

use k8s_openapi::api::{core::v1::Secret, events::v1::Event};
use kube::api::ListParams;
use serde_json::json;
use shop_operator::shop::Shop;

use crate::support::{World, condition, postgres, smallest};

#[tokio::test]
async fn row_23_nothing_is_written_in_ten_resyncs_in_which_nothing_changed() {
    let Some(world) = World::start("quiet").await else { return };
    world.databases().await;
    world.apply("small", &smallest(&world.consul.url())).await;
    let mut spec = postgres(&world.consul.url());
    spec["gateway"] = json!({"replicas": 2, "ingress": {"host": "quiet.localhost"}});
    spec["services"] = json!({
        "product": {"autoscaling": {"minReplicas": 1, "maxReplicas": 3}}, "order": {"replicas": 2},
    });
    spec["settings"] = json!({"rateLimit": {"requestsPerSecond": 10, "burst": 20}, "paymentTimeout": "15m"});
    world.apply("large", &spec).await;
    world.ready("small").await;
    world.ready("large").await;
    // What the controllers had yet to say of it has been heard.
    world.looked_again("large").await;
    world.looked_again("small").await;
    let index = async || world.consul.get("/v1/kv/shops/?recurse").await.unwrap();
    let before = index().await;
    world.proxy.forget();
    for _ in 0..10 {
        world.resync(&["small", "large"]).await;
    }
    let written: Vec<_> =
        world.proxy.asked().into_iter().filter(|asked| asked.verb == shop_testing_kubernetes::Verb::Write).collect();
    assert_eq!(written, []);
    assert_eq!(index().await, before);
}

#[tokio::test]
async fn row_23_a_new_generation_writes_only_what_it_changes() {
    let Some(world) = World::start("little").await else { return };
    let mut spec = smallest(&world.consul.url());
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    world.looked_again("demo").await;
    world.proxy.forget();
    spec["settings"] = json!({"paymentTimeout": "20m"});
    world.apply("demo", &spec).await;
    world
        .until::<Shop>("demo", "the new generation is done", |shop| {
            let status = shop.status.as_ref();
            status.and_then(|status| status.observed_generation) == shop.metadata.generation
        })
        .await;
    world.looked_again("demo").await;
    let mut written = world.proxy.changes();
    written.retain(|asked| asked.resource != "shops");
    let names: Vec<_> = written.iter().map(|asked| (asked.resource.as_str(), asked.name.as_deref())).collect();
    assert_eq!(names, [("configmaps", Some("demo-settings"))]);
}

/// How many warnings mention a word. What is told of another phase has the same words, whether a fault is told of or not.
async fn warnings(world: &World, about: &str) -> usize {
    let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
    let warnings = events.iter().filter(|event| event.type_.as_deref() == Some("Warning"));
    warnings.filter(|event| event.note.as_ref().is_some_and(|note| note.contains(about))).count()
}

#[tokio::test]
async fn row_24_an_error_that_comes_again_is_told_again_and_one_that_changed_anew() {
    let Some(world) = World::start("events").await else { return };
    let mut spec = postgres(&world.consul.url());
    world.apply("demo", &spec).await;
    world.wait("the missing Secret is told of", async || warnings(&world, "Secret db").await > 0).await;
    world.looked_again("demo").await;
    let first = warnings(&world, "Secret db").await;

    // It is over, and comes again.
    world.databases().await;
    world.touch("demo").await;
    world.ready("demo").await;
    world.looked_again("demo").await;
    assert_eq!(warnings(&world, "Secret db").await, first);
    world.delete::<Secret>("db").await;
    world.touch("demo").await;
    world.wait("it is told of again", async || warnings(&world, "Secret db").await > first).await;

    // It changes, and is of the same kind.
    spec["database"]["postgres"]["order"]["urlSecretRef"]["name"] = json!("other");
    world.apply("demo", &spec).await;
    world.wait("the other Secret is told of", async || warnings(&world, "Secret other").await > 0).await;
    world
        .until::<Shop>("demo", "a condition has the present text", |shop| {
            let conditions = shop.status.iter().flat_map(|status| &status.conditions);
            let told = conditions.into_iter().any(|condition| condition.message.contains("Secret other"));
            told && condition(shop, "Degraded") == Some(true)
        })
        .await;
}
