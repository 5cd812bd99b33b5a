//! What `shop-operator plan` shows, against what the operator then does.

use kube::ResourceExt as _;
use serde_json::{Value, json};
use shop_operator::{
    cluster::{Cluster, Object},
    controller::{Preview, Shown, preview},
};

use crate::support::{World, postgres, smallest};

async fn planned(world: &World, spec: &Value) -> Preview {
    let manifest: Object = serde_json::from_value(json!({
        "apiVersion": "shop-operator.io/v1alpha1", "kind": "Shop",
        "metadata": {"name": "demo", "namespace": world.namespace}, "spec": spec,
    }))
    .unwrap();
    Box::pin(preview(&Cluster::new(world.client.clone()), &manifest, &[])).await.unwrap()
}

/// What is done to which object.
fn told(preview: &Preview) -> Vec<String> {
    let mut told: Vec<_> = preview
        .changes
        .iter()
        .map(|change| {
            let action = match &change.shown {
                Shown::Created(_) | Shown::Secret => "create",
                Shown::Changed { .. } => "change",
                Shown::Deleted(_) => "delete",
                Shown::Recreated { .. } => "recreate",
                Shown::Refused(why) => panic!("{} {} is refused: {why}", change.kind, change.name),
            };
            format!("{action} {} {}", change.kind, change.name)
        })
        .collect();
    told.sort();
    told
}

#[tokio::test]
async fn a_plan_shows_what_comes_and_afterwards_that_nothing_is_left_to_do() {
    let Some(mut world) = World::asleep("plan").await else { return };
    let mut spec = smallest(&world.consul.url());
    spec["gateway"] = json!({"ingress": {"host": format!("{}.localhost", world.namespace)}});
    let first = planned(&world, &spec).await;
    let made = told(&first);
    for expected in
        ["create Shop demo", "create Deployment demo-user", "create Secret demo-admin", "create Ingress demo-gateway"]
    {
        assert!(made.iter().any(|told| told == expected), "{expected} is not in {made:?}");
    }
    assert!(world.api::<shop_operator::shop::Shop>().get_opt("demo").await.unwrap().is_none(), "a plan wrote");

    world.operate().await;
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    assert_eq!(told(&planned(&world, &spec).await), Vec::<String>::new());
    for change in first.changes.iter().filter(|change| change.kind.name() != "Shop") {
        let api = Cluster::new(world.client.clone()).api(change.kind, &world.namespace);
        assert!(api.get_opt(&change.name).await.unwrap().is_some(), "{} {} was not made", change.kind, change.name);
    }

    spec["gateway"] = json!({"replicas": 2});
    let plan = planned(&world, &spec).await;
    let expected = [
        "change Deployment demo-gateway",
        "change Shop demo",
        "create PodDisruptionBudget demo-gateway",
        "delete Ingress demo-gateway",
    ];
    assert_eq!(told(&plan), expected);
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    assert_eq!(told(&planned(&world, &spec).await), Vec::<String>::new());
}

#[tokio::test]
async fn a_plan_of_an_upgrade_shows_its_end_and_the_way_there() {
    let Some(world) = World::start("plan-upgrade").await else { return };
    world.databases().await;
    let mut spec = postgres(&world.consul.url());
    world.apply("demo", &spec).await;
    let shop = world.ready("demo").await;
    spec["version"] = json!("0.1.1");
    let plan = planned(&world, &spec).await;
    let changed = told(&plan);
    for component in ["user", "product", "order", "gateway"] {
        assert!(changed.contains(&format!("change Deployment demo-{component}")), "{changed:?}");
    }
    let jobs = changed.iter().filter(|told| told.starts_with("create Job demo-")).count();
    assert_eq!(jobs, 3, "{changed:?}");
    let rolls: Vec<_> = plan.settled.rolls.iter().map(|component| component.name()).collect();
    assert_eq!(rolls, ["product", "user", "order", "gateway"]);
    assert_eq!(plan.settled.contracts.len(), 3);
    let now = world.shop("demo").await;
    assert_eq!((now.spec.version.as_str(), now.resource_version()), ("0.1.0", shop.resource_version()), "a plan wrote");
}

#[tokio::test]
async fn a_plan_names_what_is_in_the_way() {
    let Some(world) = World::asleep("plan-obstacles").await else { return };
    let plan = planned(&world, &postgres(&world.consul.url())).await;
    assert!(
        plan.settled.obstacles.iter().any(|told| told.contains("there is no Secret db")),
        "{:?}",
        plan.settled.obstacles
    );
}
