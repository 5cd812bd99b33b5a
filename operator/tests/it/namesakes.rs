//! Of two that want one name each keeps what is its own.

use k8s_openapi::{api::networking::v1::Ingress, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{ResourceExt as _, api::PostParams};
use serde_json::{Value, json};
use shop_operator::shop::Shop;
use shop_testing_kubernetes::{Asked, Fault, Verb};

use crate::support::{World, condition, smallest};

/// The smallest spec with a way in by this host.
fn at(world: &World, host: &str) -> Value {
    let mut spec = smallest(&world.consul.url());
    spec["gateway"] = json!({"ingress": {"host": host}});
    spec
}

#[tokio::test]
async fn row_04_what_came_under_the_name_of_what_was_read_is_neither_changed_nor_deleted() {
    let Some(mut world) = World::start("namesake").await else { return };
    world.apply("demo", &at(&world, "namesake.localhost")).await;
    world.ready("demo").await;
    world.kill().await;
    // The Ingress makes room for somebody else's of its name, and a list that is behind still has the one before.
    let ingresses = world.api::<Ingress>();
    let before = ingresses.get("demo-gateway").await.unwrap();
    let list = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressList",
        "metadata": {"resourceVersion": before.resource_version()}, "items": [before],
    })
    .to_string();
    world.delete::<Ingress>("demo-gateway").await;
    world.until_gone::<Ingress>("demo-gateway").await;
    let metadata = ObjectMeta { name: Some("demo-gateway".to_owned()), ..ObjectMeta::default() };
    let mut spec = before.spec.clone().unwrap();
    spec.rules.as_mut().unwrap()[0].host = Some("theirs.localhost".to_owned());
    let theirs = Ingress { metadata, spec: Some(spec), ..Ingress::default() };
    let theirs = ingresses.create(&PostParams::default(), &theirs).await.unwrap();
    world.proxy.rule(move |asked| match (asked.resource.as_str(), asked.verb, &asked.name) {
        ("ingresses", Verb::Read, None) => Fault::Body(list.clone()),
        _ => Fault::Pass,
    });
    // Another host is a change, and no way in at all a deletion.
    let moved = at(&world, "moved.localhost");
    for (spec, method) in [(&moved, "PATCH"), (&smallest(&world.consul.url()), "DELETE")] {
        world.proxy.forget();
        world.apply("demo", spec).await;
        world.operate().await;
        let is_try = |asked: &Asked| asked.resource == "ingresses" && asked.method == method;
        world.wait("it is tried", async || world.proxy.changes().iter().any(is_try)).await;
        world.looked_again("demo").await;
        assert_eq!(ingresses.get("demo-gateway").await.unwrap(), theirs, "{method}");
    }
    // Read as it is, it is told of.
    world.proxy.behave();
    world.apply("demo", &moved).await;
    world
        .until::<Shop>("demo", "a condition says whose it is", |shop| {
            let conditions = shop.status.iter().flat_map(|status| &status.conditions);
            condition(shop, "Ready") == Some(false)
                && conditions.into_iter().any(|condition| {
                    condition.reason == "NameConflict" && condition.message.contains("Ingress demo-gateway")
                })
        })
        .await;
    assert_eq!(ingresses.get("demo-gateway").await.unwrap(), theirs);
}

#[tokio::test]
async fn row_15_of_two_shops_that_want_one_host_the_later_is_told_and_the_first_keeps_it() {
    let Some(world) = World::start("host").await else { return };
    let spec = at(&world, "shop.localhost");
    world.apply("first", &spec).await;
    world.ready("first").await;
    let ingresses = world.api::<Ingress>();
    let kept = ingresses.get("first-gateway").await.unwrap();
    let is_told = |shop: &Shop| {
        let conditions = shop.status.iter().flat_map(|status| &status.conditions);
        conditions.into_iter().any(|condition| {
            condition.reason == "HostConflict"
                && condition.message.contains("shop.localhost")
                && condition.message.contains("/first")
        })
    };
    world.apply("second", &spec).await;
    world.until::<Shop>("second", "the later is told", is_told).await;
    world.looked_again("second").await;
    assert_eq!(ingresses.get_opt("second-gateway").await.unwrap(), None);
    world.delete::<Shop>("second").await;
    world.until_gone::<Shop>("second").await;
    world.looked_again("first").await;
    assert_eq!(ingresses.get("first-gateway").await.unwrap(), kept);
    assert_eq!(condition(&world.shop("first").await, "Ready"), Some(true));

    // When the first lets go of it the other gets it.
    world.apply("third", &spec).await;
    world.until::<Shop>("third", "it is told", is_told).await;
    world.apply("first", &smallest(&world.consul.url())).await;
    world.until::<Ingress>("third-gateway", "it has the host", |_| true).await;
    world.ready("third").await;
}

#[tokio::test]
async fn row_15_a_host_that_is_served_stays_with_who_serves_it_though_an_older_shop_comes_to_want_it() {
    let Some(world) = World::start("served").await else { return };
    world.apply("older", &smallest(&world.consul.url())).await;
    world.ready("older").await;
    world.apply("younger", &at(&world, "served.localhost")).await;
    world.ready("younger").await;
    let kept: Ingress = world.until("younger-gateway", "it has the host", |_| true).await;
    world.apply("older", &at(&world, "served.localhost")).await;
    world
        .until::<Shop>("older", "it is told whose the host is", |shop| {
            let conditions = shop.status.iter().flat_map(|status| &status.conditions);
            conditions.into_iter().any(|it| it.reason == "HostConflict" && it.message.contains("/younger"))
        })
        .await;
    world.looked_again("younger").await;
    world.looked_again("older").await;
    let ingresses = world.api::<Ingress>();
    assert_eq!(ingresses.get_opt("older-gateway").await.unwrap(), None);
    assert_eq!(ingresses.get("younger-gateway").await.unwrap(), kept);
    assert_eq!(condition(&world.shop("younger").await, "Ready"), Some(true));
    // It is let go, and the other has it.
    world.apply("younger", &smallest(&world.consul.url())).await;
    world.until::<Ingress>("older-gateway", "it has the host", |_| true).await;
    world.ready("older").await;
}
