//! An operator that is killed, or whose writes fail, goes on where it was.

use k8s_openapi::api::{apps::v1::Deployment, batch::v1::Job};
use kube::ResourceExt as _;
use serde_json::json;
use shop_operator::shop::{Phase, Shop};
use shop_testing_kubernetes::Fault;

use crate::support::{World, all_of, condition, postgres, reason_of, smallest};

/// More writes than any Shop takes.
const MANY_WRITES: usize = 200;

/// Kills the operator each time one more of its writes was carried out and before it heard so, until it has nothing left to
/// write; then lets it be.
async fn killed_after_each_write(world: &mut World, until_ready: &str) -> usize {
    for killed in 0..MANY_WRITES {
        let mut last = false;
        world.proxy.rule(move |asked| {
            // Whatever comes after the write finds nobody.
            if last {
                return Fault::Hang;
            }
            if asked.is_change() {
                last = true;
                return Fault::HangAfter;
            }
            Fault::Pass
        });
        world.operate().await;
        let done = tokio::select! {
            () = world.proxy.carried_out() => false,
            _ready = world.ready(until_ready) => true,
        };
        if done {
            world.proxy.behave();
            return killed;
        }
        world.kill().await;
        world.proxy.break_off();
    }
    panic!("there is no end to its writes");
}

#[tokio::test]
async fn row_01_killed_after_each_of_its_writes_it_comes_to_the_same_end() {
    let Some(mut world) = World::start("killed").await else { return };
    world.databases().await;
    let spec = postgres(&world.consul.url());
    world.apply("calm", &spec).await;
    world.ready("calm").await;
    world.kill().await;
    let calm = all_of(&world.client, &world.namespace, "calm").await;
    world.delete_for_good("calm").await;

    world.apply("calm", &spec).await;
    let kills = killed_after_each_write(&mut world, "calm").await;
    assert!(kills > 20, "{kills} writes");
    let killed = all_of(&world.client, &world.namespace, "calm").await;
    assert_eq!(calm, killed);
}

#[tokio::test]
async fn row_02_no_step_is_decided_by_memory() {
    let Some(mut world) = World::start("memory").await else { return };
    world.databases().await;
    let mut spec = postgres(&world.consul.url());
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    world.proxy.forget();
    spec["version"] = json!("0.2.0");
    world.apply("demo", &spec).await;
    let kills = killed_after_each_write(&mut world, "demo").await;
    assert!(kills >= 10, "{kills} writes");

    let changes = world.proxy.changes();
    let patched = |resource: &str| {
        let names = changes.iter().filter(|asked| asked.resource == resource && asked.method == "PATCH");
        names.map(|asked| asked.name.clone().unwrap()).collect::<Vec<_>>()
    };
    let mut rolled = patched("deployments");
    rolled.dedup();
    assert_eq!(rolled, ["demo-product", "demo-user", "demo-order", "demo-gateway"]);
    let mut jobs = patched("jobs");
    jobs.sort();
    let count = jobs.len();
    jobs.dedup();
    assert_eq!(jobs.len(), count, "a migration was begun twice");
}

#[tokio::test]
async fn row_12_what_was_made_before_the_status_could_not_be_written_is_adopted() {
    let Some(mut world) = World::start("status").await else { return };
    world.proxy.rule(|asked| match asked.part.as_deref() {
        Some("status") => Fault::Answer(500),
        _ => Fault::Pass,
    });
    world.apply("demo", &smallest(&world.consul.url())).await;
    let made: Deployment = world.until("demo-gateway", "the gateway is there", |_| true).await;
    world
        .wait("the status can't be written", async || {
            world.proxy.asked().iter().any(|asked| asked.part.as_deref() == Some("status"))
        })
        .await;
    assert_eq!(world.shop("demo").await.status, None);
    world.kill().await;
    world.proxy.behave();
    world.operate().await;
    world.ready("demo").await;
    let adopted: Deployment = world.until("demo-gateway", "the gateway is there", |_| true).await;
    assert_eq!(made.uid(), adopted.uid());
}

#[tokio::test]
async fn row_16_a_child_that_is_terminating_is_waited_for_reported_and_made_anew() {
    let Some(world) = World::start("terminating").await else { return };
    world.apply("demo", &smallest(&world.consul.url())).await;
    world.ready("demo").await;
    let held: Deployment = world.until("demo-product", "the Deployment is there", |_| true).await;
    world.hold::<Deployment>("demo-product").await;
    world.delete::<Deployment>("demo-product").await;
    world
        .until::<Shop>("demo", "it says what it waits for", |shop| {
            condition(shop, "Ready") == Some(false)
                && shop.status.iter().flat_map(|status| &status.conditions).any(|condition| {
                    condition.message.contains("product") && condition.message.contains("being deleted")
                })
        })
        .await;
    let still: Deployment = world.until("demo-product", "it is held", |_| true).await;
    assert_eq!(still.uid(), held.uid());
    world.release::<Deployment>("demo-product").await;
    world.until::<Deployment>("demo-product", "it is made anew", |made| made.uid() != held.uid()).await;
    world.ready("demo").await;
}

#[tokio::test]
async fn row_17_what_is_deleted_while_it_is_used_is_no_panic_but_a_condition() {
    let Some(world) = World::asleep("deleted").await else { return };
    let mut world = world;
    world.databases().await;
    world.apply("demo", &postgres(&world.consul.url())).await;
    // Each object that a reconciliation reads goes right after it was read, once.
    let (client, namespace) = (world.client.clone(), world.namespace.clone());
    let mut gone = false;
    world.proxy.rule(move |asked| {
        if !gone && asked.resource == "jobs" && asked.is_change() {
            gone = true;
            let secrets: kube::Api<k8s_openapi::api::core::v1::Secret> =
                kube::Api::namespaced(client.clone(), &namespace);
            tokio::spawn(async move { secrets.delete("db", &kube::api::DeleteParams::default()).await });
        }
        Fault::Pass
    });
    world.operate().await;
    world
        .until::<Shop>("demo", "a condition names the Secret", |shop| {
            let conditions = shop.status.iter().flat_map(|status| &status.conditions);
            conditions
                .into_iter()
                .any(|condition| condition.status != "Unknown" && condition.message.contains("Secret db"))
                || reason_of(shop, "Ready").contains("Secret")
        })
        .await;
    assert!(world.operator.as_ref().unwrap().runs());
    world.databases().await;
    world.ready("demo").await;
    let jobs = world.api::<Job>().list(&kube::api::ListParams::default()).await.unwrap();
    assert!(jobs.items.iter().all(|job| job.status.as_ref().is_some_and(|status| status.failed.unwrap_or(0) == 0)));
}

#[tokio::test]
async fn ready_is_what_a_client_sees() {
    let Some(world) = World::start("probe").await else { return };
    world.gateway.answers(500);
    world.apply("demo", &smallest(&world.consul.url())).await;
    world
        .until::<Shop>("demo", "it says that the gateway does not answer as it should", |shop| {
            condition(shop, "Ready") == Some(false)
                && reason_of(shop, "Degraded") == "ProbeFailed"
                && reason_of(shop, "Progressing") == "Blocked"
                && shop.status.as_ref().and_then(|status| status.phase) == Some(Phase::Pending)
        })
        .await;
    world.gateway.answers(200);
    world.ready("demo").await;
}
