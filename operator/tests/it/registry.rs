//! What the operator does in Consul, and what it keeps its hands off.

use std::time::Duration;

use k8s_openapi::api::{core::v1::Pod, events::v1::Event};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams},
};
use serde_json::json;
use shop_operator::shop::Shop;
use shop_testing_consul::{Behaviour, Proxy as ConsulProxy};
use shop_testing_kubernetes::{Fault, Verb};
use tokio::time::Instant;

use crate::support::{World, smallest};

/// How long the entry of a pod that is gone may stay, on a machine that does something else as well.
const CLEARED: Duration = Duration::from_secs(2);
/// How long a Shop may take to go when nothing lets go of it: a minute is what Consul has, and some more.
const BOUND: Duration = Duration::from_secs(90);

#[tokio::test]
async fn row_14_a_shop_goes_within_bounded_time_although_consul_is_gone_and_a_pod_never_goes() {
    let Some(mut world) = World::start("abandoned").await else { return };
    world.apply("demo", &smallest(&world.consul.url())).await;
    let uid = world.ready("demo").await.uid().unwrap();
    // As on a node that is dead.
    let pod = world.pods("order").await.remove(0);
    world.hold::<Pod>(&pod.name_any()).await;
    world.consul.kill();
    let begun = Instant::now();
    world.delete::<Shop>("demo").await;
    world.until_gone::<Shop>("demo").await;
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
    let told = events.iter().any(|event| {
        let note = event.note.as_deref().unwrap_or_default();
        event.reason.as_deref() == Some("ConsulAbandoned") && note.contains(&format!("shop-{uid}"))
    });
    assert!(told, "{events:?}");
}

#[tokio::test]
async fn row_18_pods_that_cannot_be_read_are_not_gone() {
    let Some(world) = World::start("pods").await else { return };
    world.kubelet.processes_die();
    world.apply("demo", &smallest(&world.consul.url())).await;
    world.ready("demo").await;
    let entries = world.registered("demo-order").await;
    assert_eq!(entries.len(), 1);
    for refusal in [403, 410, 429, 500, 503] {
        world.proxy.rule(move |asked| {
            let reads = asked.resource == "pods" && asked.verb == Verb::Read;
            if reads { Fault::Answer(refusal) } else { Fault::Pass }
        });
        let failing = |world: &World| {
            world.proxy.asked().iter().filter(|asked| asked.resource == "pods" && asked.verb == Verb::Read).count()
        };
        let before = failing(&world);
        world.touch("demo").await;
        world.wait("it tries to read the pods", async || failing(&world) > before + 1).await;
        assert_eq!(world.registered("demo-order").await, entries, "after {refusal}");
    }
    world.proxy.behave();
    // A pod that really is gone, and one in its place that has no address yet.
    world.kubelet.decide(|_| crate::support::Fate::Waits);
    let pod = world.pods("order").await.remove(0);
    world.api::<Pod>().delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await.unwrap();
    world.wait("its entry goes", async || world.registered("demo-order").await.is_empty()).await;
    // That it is not ready is told after the entry went: it may still seem to be.
    world.kubelet.decide(|_| crate::support::Fate::Runs);
    world.wait("the one in its place is registered", async || world.registered("demo-order").await.len() == 1).await;
    world.ready("demo").await;
    assert_eq!(world.registered("demo-order").await.len(), 1);
}

#[tokio::test]
async fn row_19_entries_of_pods_that_went_while_the_operator_was_away_go_and_those_that_live_stay() {
    let Some(mut world) = World::start("away").await else { return };
    world.apply("demo", &smallest(&world.consul.url())).await;
    world.ready("demo").await;
    world.kill().await;
    world.kubelet.processes_die();
    let dead = world.pods("product").await.remove(0);
    world.api::<Pod>().delete(&dead.name_any(), &DeleteParams::default().grace_period(0)).await.unwrap();
    world.wait("another comes beside its entry", async || world.registered("demo-product").await.len() == 2).await;
    world.operate().await;
    let dead = dead.uid().unwrap();
    world.wait("its entry goes", async || !world.registered("demo-product").await.contains(&dead)).await;
    world.looked_again("demo").await;
    for component in ["user", "product", "order", "gateway"] {
        let living: Vec<_> = world.pods(component).await.iter().map(|pod| pod.uid().unwrap()).collect();
        assert_eq!(world.registered(&format!("demo-{component}")).await, living, "{component}");
    }
    world.ready("demo").await;
}

#[tokio::test]
async fn row_20_entries_without_our_meta_are_never_deleted() {
    let Some(world) = World::start("foreign").await else { return };
    world.apply("demo", &smallest(&world.consul.url())).await;
    let uid = world.ready("demo").await.uid().unwrap();
    let service = |id: &str, meta: serde_json::Value| json!({"ID": id, "Service": "demo-user", "Address": "192.0.2.1", "Port": 1, "Meta": meta});
    // Another's node with a service of the same name, one that only looks like ours, and another Shop's.
    let owned = json!({"owner": "shop", "shop_uid": uid});
    let another = json!({"owner": "shop", "shop_uid": "11111111-1111-1111-1111-111111111111"});
    for (node, meta, id) in [
        ("somebody", json!({}), "somebodys-user"),
        ("shop-of-somebody", json!({"owner": "somebody", "shop_uid": uid}), "looks-like-it"),
        ("somebody-else", owned.clone(), "under-another-node"),
        ("shop-11111111-1111-1111-1111-111111111111", another.clone(), "another-shops"),
    ] {
        let body =
            json!({"Node": node, "Address": "192.0.2.1", "NodeMeta": meta, "Service": service(id, owned.clone())});
        world.consul.put("/v1/catalog/register", &body).await;
    }
    world.consul.put(&format!("/v1/kv/shops/{}/demo-other/config", world.namespace), &json!({})).await;
    for _ in 0..2 {
        world.looked_again("demo").await;
    }
    let foreign = ["another-shops", "looks-like-it", "somebodys-user", "under-another-node"];
    let left = async || {
        let mut ids = world.registered("demo-user").await;
        ids.retain(|id| foreign.contains(&id.as_str()));
        ids.sort();
        ids
    };
    assert_eq!(left().await, foreign);
    world.delete::<Shop>("demo").await;
    world.until_gone::<Shop>("demo").await;
    assert_eq!(world.registered("demo-user").await.len(), foreign.len());
    assert_eq!(left().await, foreign);
    assert_eq!(world.settings("demo").await, None);
    assert!(world.settings("demo-other").await.is_some());
}

#[tokio::test]
async fn row_20_a_node_of_our_name_that_is_somebody_elses_is_left_alone() {
    let Some(mut world) = World::asleep("occupied").await else { return };
    let shop = world.apply("demo", &smallest(&world.consul.url())).await;
    let node = format!("shop-{}", shop.uid().unwrap());
    let body = json!({
        "Node": node, "Address": "192.0.2.1", "NodeMeta": {"owner": "somebody"},
        "Service": {"ID": "theirs", "Service": "theirs", "Port": 1},
    });
    world.kubelet.decide(|_| crate::support::Fate::Waits);
    world.consul.put("/v1/catalog/register", &body).await;
    world.operate().await;
    world
        .until::<Shop>("demo", "a condition says whose it is", |shop| {
            crate::support::message_of(shop, "ConsulSynced").contains("somebody")
        })
        .await;
    assert_eq!(world.registered("theirs").await, ["theirs"]);
}

#[tokio::test]
async fn row_21_a_consul_that_hangs_delays_no_other_shop() {
    let Some(world) = World::start("hung").await else { return };
    let hung = ConsulProxy::start(vec![world.consul.http_address()]).await;
    // More of them than are reconciled at once.
    for number in 0..12 {
        world.apply(&format!("hung-{number}"), &smallest(&hung.url())).await;
    }
    world.apply("demo", &smallest(&world.consul.url())).await;
    for number in 0..12 {
        world.ready(&format!("hung-{number}")).await;
    }
    world.ready("demo").await;
    world.kubelet.processes_die();
    hung.behave(Behaviour::Hang);
    for number in 0..12 {
        world
            .until::<Shop>(&format!("hung-{number}"), "it shows", |shop| {
                crate::support::condition(shop, "ConsulSynced") == Some(false)
            })
            .await;
    }
    let pod = world.pods("user").await.into_iter().find(|pod| pod.labels()["shop-operator.io/shop"] == "demo").unwrap();
    let gone = pod.uid().unwrap();
    world.api::<Pod>().delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await.unwrap();
    let begun = Instant::now();
    world.wait("its entry goes", async || !world.registered("demo-user").await.contains(&gone)).await;
    assert!(begun.elapsed() < CLEARED * 3, "{:?}", begun.elapsed());
    world.ready("demo").await;
}
