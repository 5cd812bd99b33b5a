//! Upgrades that go wrong, or are called off.

use std::{collections::BTreeSet, sync::Arc};

use k8s_openapi::api::{apps::v1::Deployment, batch::v1::Job, core::v1::Pod};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use shop_operator::shop::{Phase, Shop};

use crate::support::{Fate, World, component_of, condition, is_job, message_of, postgres, version_of};

const OLD: &str = "0.1.0";
const NEW: &str = "0.2.0";

fn all(version: &str) -> [Option<String>; 4] {
    [(); 4].map(|()| Some(version.to_owned()))
}

/// A Shop on a database server that is ready.
async fn running(name: &str) -> Option<(World, Value)> {
    let world = World::start(name).await?;
    world.databases().await;
    let spec = postgres(&world.consul.url());
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    Some((world, spec))
}

/// Every process has an available pod of this version.
async fn serves(world: &World, version: &str) -> bool {
    let pods = world.api::<Pod>().list(&ListParams::default()).await.unwrap();
    ["user", "product", "order", "gateway"].iter().all(|component| {
        pods.iter().any(|pod| {
            let ready = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
            component_of(pod) == *component
                && version_of(pod) == version
                && ready.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
        })
    })
}

#[tokio::test]
async fn row_25_a_revert_in_the_middle_leaves_nothing_of_the_new_version() {
    let Some((world, mut spec)) = running("revert").await else { return };
    // Of the new version product comes up, and user never does.
    world.kubelet.decide(|pod| {
        let stuck = version_of(pod) == NEW && component_of(pod) == "user" && !is_job(pod);
        if stuck { Fate::Waits } else { Fate::Runs }
    });
    spec["version"] = json!(NEW);
    world.apply("demo", &spec).await;
    world
        .wait("product is new and user is being replaced", async || {
            let [user, product, order, gateway] = world.versions("demo").await;
            [user, product].iter().all(|version| version.as_deref() == Some(NEW))
                && [order, gateway].iter().all(|version| version.as_deref() == Some(OLD))
        })
        .await;
    assert!(serves_without(&world, OLD, "product").await);
    spec["version"] = json!(OLD);
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    assert_eq!(world.versions("demo").await, all(OLD));
    world
        .wait("the pods of the new version go", async || {
            let pods = world.api::<Pod>().list(&ListParams::default()).await.unwrap();
            pods.iter().all(|pod| is_job(pod) || version_of(pod) == OLD)
        })
        .await;
    let contracts = world.api::<Job>().list(&ListParams::default()).await.unwrap();
    assert!(contracts.iter().all(|job| !job.name_any().contains("contract") || version_of_job(job) != NEW));
}

async fn serves_without(world: &World, version: &str, except: &str) -> bool {
    let pods = world.api::<Pod>().list(&ListParams::default()).await.unwrap();
    ["user", "product", "order", "gateway"]
        .iter()
        .filter(|component| **component != except)
        .all(|component| pods.iter().any(|pod| component_of(pod) == *component && version_of(pod) == version))
}

fn version_of_job(job: &Job) -> String {
    let image = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()?.containers.first()?.image.clone());
    image.unwrap_or_default().rsplit(':').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn row_25_after_the_point_of_no_return_the_new_version_stays_and_the_way_is_forward() {
    let Some((world, mut spec)) = running("forward").await else { return };
    spec["version"] = json!(NEW);
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    // The old binaries refuse the databases that were contracted.
    world.kubelet.decide(|pod| {
        if version_of(pod) == OLD && component_of(pod) != "gateway" {
            Fate::Fails("the schema is newer than this version can work with")
        } else {
            Fate::Runs
        }
    });
    spec["version"] = json!(OLD);
    world.apply("demo", &spec).await;
    world
        .until::<Shop>("demo", "it says that it can't go back", |shop| {
            condition(shop, "Ready") == Some(false) && condition(shop, "Degraded") == Some(true)
        })
        .await;
    for component in ["user", "product", "order"] {
        let serving = world.pods(component).await.into_iter().any(|pod| version_of(&pod) == NEW);
        assert!(serving, "{component} of the new version is gone");
    }
    spec["version"] = json!(NEW);
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    assert_eq!(world.versions("demo").await, all(NEW));
}

/// An upgrade whose migration of order goes wrong: the old version serves, the condition says what and why, and another
/// image goes on. How often it was tried, if there is an API
/// server to try it on.
async fn goes_wrong(name: &str, fate: Fate, annotations: Value, says: &str) -> Option<usize> {
    let tries = Arc::new(Mutex::new(BTreeSet::new()));
    let (world, mut spec) = running(name).await?;
    let seen = Arc::clone(&tries);
    world.kubelet.decide(move |pod| {
        let stuck = is_job(pod) && version_of(pod) == NEW && pod.name_any().contains("-order-");
        if stuck {
            seen.lock().insert(pod.name_any());
            fate.clone()
        } else {
            Fate::Runs
        }
    });
    spec["version"] = json!(NEW);
    world.apply_with("demo", &spec, &annotations).await;
    let blocked = world
        .until::<Shop>("demo", "it says what went wrong", |shop| {
            condition(shop, "DatabaseMigrated") == Some(false)
                && condition(shop, "Degraded") == Some(true)
                && message_of(shop, "DatabaseMigrated").contains(says)
        })
        .await;
    let message = message_of(&blocked, "DatabaseMigrated");
    assert!(message.contains("order") && message.contains("migrat"), "{message}");
    assert_eq!(world.versions("demo").await, all(OLD));
    assert!(serves(&world, OLD).await);
    assert_ne!(blocked.status.unwrap().phase, Some(Phase::Ready));
    world.looked_again("demo").await;
    assert_eq!(world.versions("demo").await, all(OLD));
    spec["version"] = json!("0.2.1");
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    assert_eq!(world.versions("demo").await, all("0.2.1"));
    Some(tries.lock().len())
}

#[tokio::test]
async fn row_26_a_migration_that_fails_leaves_the_old_version_and_says_why() {
    goes_wrong("failing", Fate::Fails("column refund_due is missing"), json!({}), "column refund_due is missing").await;
}

#[tokio::test]
async fn row_26_a_migration_that_another_try_does_not_help_is_tried_once() {
    let tries = goes_wrong("refused", Fate::Refuses("no such function"), json!({}), "no such function").await;
    assert!(tries.is_none_or(|tries| tries == 1), "{tries:?}");
}

#[tokio::test]
async fn row_26_a_migration_that_fails_once_is_tried_again() {
    let Some((world, mut spec)) = running("once").await else { return };
    let mut failed = None;
    world.kubelet.decide(move |pod| {
        let migrates = is_job(pod) && version_of(pod) == NEW;
        let is_first = migrates && *failed.get_or_insert_with(|| pod.name_any()) == pod.name_any();
        if is_first { Fate::Fails("the connection was lost") } else { Fate::Runs }
    });
    spec["version"] = json!(NEW);
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    assert_eq!(world.versions("demo").await, all(NEW));
}

#[tokio::test]
async fn row_26_a_migration_that_hangs_ends_at_its_deadline() {
    // It holds for the two that do not hang as well, on a machine that is busy.
    let deadline = json!({"shop-operator.io/migration-deadline-seconds": "10"});
    goes_wrong("hanging", Fate::Waits, deadline, "did not end within 10 s").await;
}

#[tokio::test]
async fn row_26_a_migration_that_is_killed_half_way_is_begun_again() {
    let Some((world, mut spec)) = running("half-way").await else { return };
    world.kubelet.decide(|pod| if is_job(pod) && version_of(pod) == NEW { Fate::Waits } else { Fate::Runs });
    spec["version"] = json!(NEW);
    world.apply("demo", &spec).await;
    let migrating = async || {
        let pods = world.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
        pods.into_iter().find(|pod| is_job(pod) && version_of(pod) == NEW && pod.metadata.deletion_timestamp.is_none())
    };
    world.wait("a migration is under way", async || migrating().await.is_some()).await;
    let killed = migrating().await.unwrap();
    world.api::<Pod>().delete(&killed.name_any(), &DeleteParams::default().grace_period(0)).await.unwrap();
    assert_eq!(world.versions("demo").await, all(OLD));
    world.kubelet.decide(|_| Fate::Runs);
    world.ready("demo").await;
    assert_eq!(world.versions("demo").await, all(NEW));
    let gateway: Deployment = world.until("demo-gateway", "it is there", |_| true).await;
    assert_eq!(gateway.status.unwrap().available_replicas, Some(1));
}
