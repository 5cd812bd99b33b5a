//! What the operator hears of is only a hint where to look.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use shop_operator::shop::Shop;
use shop_testing_kubernetes::{Asked, Fault, Verb};
use tokio::time::Instant;

use crate::support::{RHYTHM, World, postgres, smallest};

/// So long after the last sign of life it has found out that a watch is silent, and that nobody answers when it asks again.
const SHOWS: Duration = Duration::from_secs(25);
/// For a write that began before.
const LONG_ENOUGH: Duration = Duration::from_secs(1);

#[tokio::test]
async fn row_03_a_lost_event_of_any_kind_is_made_up_for() {
    let Some(world) = World::start("lost").await else { return };
    world.apply("demo", &smallest(&world.consul.url())).await;
    world.ready("demo").await;
    world.looked_again("demo").await;
    // From now on no watch tells anything. Bookmarks come, so nobody can tell that anything is missing.
    world.proxy.sieve(|_, event| event["type"] == "BOOKMARK");
    world.apply("other", &smallest(&world.consul.url())).await;
    world.until::<Deployment>("other-gateway", "a Shop that nobody told of is found", |_| true).await;
    // To be listed is a reason to be looked at, for a Shop that is known too.
    let is_list = |asked: &Asked| asked.resource == "shops" && asked.verb == Verb::Read && asked.name.is_none();
    world.proxy.rule(move |asked| if is_list(asked) { Fault::Answer(500) } else { Fault::Pass });
    world.proxy.forget();
    world.wait("a list fails", async || world.proxy.asked().iter().any(is_list)).await;
    world.delete::<ConfigMap>("demo-settings").await;
    world.until::<ConfigMap>("demo-settings", "it comes back", |_| true).await;
}

#[tokio::test]
async fn row_03_watches_that_are_silent_are_begun_anew_and_show() {
    let Some(world) = World::start("silent").await else { return };
    world.apply("demo", &smallest(&world.consul.url())).await;
    world.ready("demo").await;
    let watched = || {
        let asked = world.proxy.asked().into_iter().filter(|asked| asked.verb == Verb::Watch);
        asked.map(|asked| asked.resource).collect::<BTreeSet<_>>()
    };
    let all = watched();
    assert!(all.contains("shops") && all.contains("pods"), "{all:?}");
    // The connections stay open, and nothing comes any more, not even their end.
    world.proxy.rule(|asked| if asked.verb == Verb::Watch { Fault::Mute } else { Fault::Pass });
    world.proxy.forget();
    world.proxy.break_off();
    world.wait("each watch is silent", async || watched() == all).await;
    // The next ones are never answered, nor is anything else. That it asks is no sign of life.
    world.proxy.rule(|_| Fault::Hang);
    let begun = Instant::now();
    let pulse = world.operator.as_ref().unwrap().pulse.clone();
    world.wait("the silence shows", async || pulse.oldest().is_some_and(|(_, age)| age > SHOWS)).await;
    assert!(begun.elapsed() < 2 * SHOWS, "{:?}", begun.elapsed());
    // Nobody ends what hangs.
    world.proxy.behave();
    world.wait("the watches are back", async || pulse.oldest().is_some_and(|(_, age)| age < RHYTHM.silence())).await;
    world.delete::<ConfigMap>("demo-settings").await;
    world.until::<ConfigMap>("demo-settings", "it comes back", |_| true).await;
}

#[tokio::test]
async fn row_05_an_older_spec_that_comes_late_starts_nothing() {
    let Some(mut world) = World::start("older").await else { return };
    world.databases().await;
    let mut spec = postgres(&world.consul.url());
    world.apply("demo", &spec).await;
    let older = serde_json::to_value(world.ready("demo").await).unwrap();
    spec["version"] = json!("0.2.0");
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    world.kill().await;

    // An API server that is behind shows the Shop as it was.
    let single = older.to_string();
    let mut list = json!({"apiVersion": "shop-operator.io/v1alpha1", "kind": "ShopList", "items": [older]});
    list["metadata"] = json!({"resourceVersion": older["metadata"]["resourceVersion"]});
    let list = list.to_string();
    world.proxy.forget();
    world.proxy.rule(move |asked| match (asked.resource.as_str(), asked.verb, &asked.name) {
        ("shops", Verb::Read, None) => Fault::Body(list.clone()),
        ("shops", Verb::Read, Some(_)) => Fault::Body(single.clone()),
        _ => Fault::Pass,
    });
    world.operate().await;
    world.looked_again("demo").await;
    let changes = world.proxy.changes();
    let irreversible = changes.iter().filter(|asked| matches!(asked.resource.as_str(), "jobs" | "deployments"));
    assert_eq!(irreversible.collect::<Vec<_>>(), Vec::<&Asked>::new());
    assert_eq!(world.versions("demo").await, [(); 4].map(|()| Some("0.2.0".to_owned())));
}

#[tokio::test]
async fn row_05_a_spec_that_is_replaced_while_it_is_carried_out_starts_no_migration() {
    let Some(mut world) = World::start("replaced").await else { return };
    world.databases().await;
    let mut spec = postgres(&world.consul.url());
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    world.kill().await;
    spec["version"] = json!("0.2.0");
    world.apply("demo", &spec).await;
    world.proxy.forget();
    // When it has read the spec, and before it acts, there is another.
    let shops = world.api::<Shop>();
    let mut replaced = false;
    world.proxy.rule(move |asked| {
        if replaced || asked.resource != "secrets" || asked.name.as_deref() != Some("db") {
            return Fault::Pass;
        }
        replaced = true;
        let shops = shops.clone();
        let next = Patch::Merge(json!({"spec": {"version": "0.3.0"}}));
        tokio::spawn(async move { shops.patch("demo", &PatchParams::default(), &next).await });
        Fault::Slow(LONG_ENOUGH)
    });
    world.operate().await;
    world
        .wait("the other is carried out", async || {
            world.versions("demo").await == [(); 4].map(|()| Some("0.3.0".to_owned()))
        })
        .await;
    let changes = world.proxy.changes();
    let jobs = changes.iter().filter(|asked| asked.resource == "jobs").map(|asked| asked.body.to_string());
    let jobs: Vec<_> = jobs.collect();
    assert!(jobs.iter().any(|job| job.contains(":0.3.0")), "{jobs:?}");
    assert!(!jobs.iter().any(|job| job.contains(":0.2.0")), "{jobs:?}");
}
