//! What is edited, and what is taken away: the Shop comes to what its spec says, and no more is made anew than has to be.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    core::v1::Pod,
    networking::v1::{Ingress, NetworkPolicy},
};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;
use shop_operator::shop::Shop;

use crate::support::{Fate, KINDS, World, api, condition, is_job, message_of, postgres, smallest, version_of};

/// A version whose image nobody has.
const NOWHERE: &str = "0.9.9";
/// More than any node has.
const TOO_MUCH: &str = "900";
/// What does not come back: what is in Secrets and volumes is nowhere else, and a Job that was done is not done again.
const NOT_MADE_ANEW: [&str; 3] = ["Secret", "PersistentVolumeClaim", "Job"];

fn asks_too_much(pod: &Pod) -> bool {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let requests = containers.filter_map(|container| container.resources.as_ref()?.requests.as_ref()?.get("cpu"));
    requests.into_iter().any(|cpu| cpu.0 == TOO_MUCH)
}

#[tokio::test]
async fn row_06_what_never_got_ready_and_is_reverted_is_ready_again_by_itself() {
    let Some(world) = World::start("reverted").await else { return };
    world.databases().await;
    let good = postgres(&world.consul.url());
    world.apply("demo", &good).await;
    world.ready("demo").await;
    let never = |pod: &Pod| !is_job(pod) && (version_of(pod) == NOWHERE || asks_too_much(pod));
    world.kubelet.decide(move |pod| if never(pod) { Fate::Waits } else { Fate::Runs });
    let (mut nowhere, mut impossible) = (good.clone(), good.clone());
    nowhere["version"] = json!(NOWHERE);
    impossible["services"] = json!({"product": {"resources": {"requests": {"cpu": TOO_MUCH}}}});
    for bad in [nowhere, impossible] {
        world.apply("demo", &bad).await;
        world
            .wait("a pod is there that never gets ready", async || world.pods("product").await.iter().any(never))
            .await;
        world
            .until::<Shop>("demo", "it is told of", |shop| {
                let observed = shop.status.as_ref().and_then(|status| status.observed_generation);
                observed == shop.metadata.generation
                    && condition(shop, "Ready") == Some(false)
                    && message_of(shop, "Ready").contains("product")
            })
            .await;
        world.apply("demo", &good).await;
        world.ready("demo").await;
        world.wait("the pod goes that never got ready", async || !world.pods("product").await.iter().any(never)).await;
    }
}

/// The uids of the objects of a kind by name.
async fn uids(world: &World, (group, version, kind): (&str, &str, &str)) -> BTreeMap<String, String> {
    let objects = api(world.client.clone(), &world.namespace, group, version, kind).list(&labels()).await.unwrap();
    objects.into_iter().map(|object| (object.name_any(), object.uid().unwrap())).collect()
}

fn labels() -> ListParams {
    ListParams::default().labels("shop-operator.io/shop=demo")
}

#[tokio::test]
async fn row_10_whatever_is_deleted_comes_back_and_ready_does_not_lie_meanwhile() {
    let Some(mut world) = World::asleep("owned").await else { return };
    world.operate_when_told().await;
    world.databases().await;
    let mut spec = postgres(&world.consul.url());
    spec["gateway"] = json!({"replicas": 2, "ingress": {"host": "owned.localhost"}});
    spec["services"] = json!({"product": {"autoscaling": {"minReplicas": 1, "maxReplicas": 3}}});
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    for kind in KINDS.into_iter().filter(|(_, _, kind)| !NOT_MADE_ANEW.contains(kind)) {
        // Nothing is due, so that it looks only if it hears of it.
        world.looked_again("demo").await;
        let (group, version, name) = kind;
        if name == "Deployment" {
            world.kubelet.decide(|_| Fate::Waits);
        }
        let before = uids(&world, kind).await;
        assert!(!before.is_empty(), "no {name} is there");
        let objects = api(world.client.clone(), &world.namespace, group, version, name);
        objects.delete_collection(&DeleteParams::background(), &labels()).await.unwrap();
        world
            .wait(&format!("each {name} is back"), async || {
                let now = uids(&world, kind).await;
                now.keys().eq(before.keys()) && now.values().all(|uid| before.values().all(|before| before != uid))
            })
            .await;
        if name == "Deployment" {
            // Their pods went with them.
            world
                .until::<Shop>("demo", "it is not ready meanwhile", |shop| condition(shop, "Ready") == Some(false))
                .await;
            world.looked_again("demo").await;
            assert_eq!(condition(&world.shop("demo").await, "Ready"), Some(false));
            world.kubelet.decide(|_| Fate::Runs);
        }
        world.ready("demo").await;
    }
}

/// The uids of the pods of each process.
async fn pods(world: &World) -> [Vec<String>; 4] {
    let mut all = [const { Vec::new() }; 4];
    for (uids, component) in all.iter_mut().zip(["user", "product", "order", "gateway"]) {
        *uids = world.pods(component).await.iter().map(|pod| pod.uid().unwrap()).collect();
    }
    all
}

#[tokio::test]
async fn row_27_an_edit_reaches_the_pods_without_making_anew_what_need_not_be() {
    let Some(world) = World::start("edited").await else { return };
    let mut spec = smallest(&world.consul.url());
    spec["gateway"] = json!({"ingress": {"host": "edited.localhost"}});
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    let before = pods(&world).await;
    // Settings and the host: nobody is replaced.
    let settings = json!({"maintenance": true});
    spec["settings"] = settings.clone();
    spec["gateway"] = json!({"ingress": {"host": "other.localhost"}});
    world.gateway.answers(503);
    world.apply("demo", &spec).await;
    world.wait("Consul has the settings", async || world.settings("demo").await.as_ref() == Some(&settings)).await;
    world
        .until::<Ingress>("demo-gateway", "it is for the other host", |ingress| {
            let rules = ingress.spec.iter().flat_map(|spec| spec.rules.iter().flatten());
            rules.into_iter().any(|rule| rule.host.as_deref() == Some("other.localhost"))
        })
        .await;
    world.ready("demo").await;
    assert_eq!(pods(&world).await, before);

    // A limit of one: that one alone.
    spec["services"] = json!({"product": {"resources": {"limits": {"memory": "200Mi"}}}});
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    let after = pods(&world).await;
    assert_ne!(after[1], before[1]);
    assert_eq!([&after[0], &after[2], &after[3]], [&before[0], &before[2], &before[3]]);
    let limits = world.pods("product").await[0].spec.as_ref().unwrap().containers[0].resources.clone().unwrap().limits;
    assert_eq!(limits.unwrap()["memory"].0, "200Mi");

    // The gateway has no file that two can't share: one more beside the one that is there.
    spec["gateway"]["replicas"] = json!(2);
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    let now = pods(&world).await;
    assert!(now[3].len() == 2 && now[3].contains(&before[3][0]), "{now:?}");
    assert_eq!(now[..3], after[..3]);
}

#[tokio::test]
async fn row_10_what_is_opened_by_hand_in_a_policy_is_shut_again() {
    let Some(world) = World::start("opened").await else { return };
    world.apply("demo", &smallest(&world.consul.url())).await;
    world.ready("demo").await;
    let policies = world.api::<NetworkPolicy>();
    for name in ["demo-default-deny", "demo-admin"] {
        let shut = policies.get(name).await.unwrap().spec.unwrap();
        let rules = shut.ingress.iter().flatten().map(|rule| json!(rule)).chain([json!({})]);
        let opened = json!({"spec": {"ingress": rules.collect::<Vec<_>>()}});
        policies.patch(name, &PatchParams::default(), &Patch::Merge(opened)).await.unwrap();
        world.until::<NetworkPolicy>(name, "it is as it was", |policy| policy.spec.as_ref() == Some(&shut)).await;
    }
    world.ready("demo").await;
}
