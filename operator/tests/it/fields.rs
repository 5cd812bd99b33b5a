//! Fields of the spec and of what is made of it.

use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{PersistentVolumeClaim, Service},
    networking::v1::Ingress,
};
use kube::{
    ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use shop_operator::shop::Shop;

use crate::support::{World, condition, message_of, postgres, smallest};

#[tokio::test]
async fn row_07_a_bad_field_blocks_only_its_component_and_a_condition_names_it() {
    let Some(world) = World::start("field").await else { return };
    let mut spec = smallest(&world.consul.url());
    // The API server takes no Deployment that asks for more than it may use.
    spec["services"] = json!({"product": {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}}});
    world.apply("demo", &spec).await;
    for component in ["user", "order"] {
        world
            .until::<Deployment>(&format!("demo-{component}"), "the others are there and run", |deployment| {
                deployment.status.as_ref().is_some_and(|status| status.available_replicas == Some(1))
            })
            .await;
    }
    world
        .until::<Shop>("demo", "a condition names the field", |shop| {
            let message = message_of(shop, "Ready");
            condition(shop, "Ready") == Some(false)
                && message.contains("product")
                && message.contains("resources.requests")
        })
        .await;
    assert_eq!(world.api::<Deployment>().get_opt("demo-product").await.unwrap().map(|found| found.name_any()), None);
    spec["services"] = json!({});
    world.apply("demo", &spec).await;
    world.ready("demo").await;
}

#[tokio::test]
async fn row_07_bad_settings_are_named_and_the_last_good_ones_stay() {
    let Some(world) = World::start("settings").await else { return };
    let mut spec = smallest(&world.consul.url());
    spec["settings"] = json!({"paymentTimeout": "20m"});
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    let good = world.settings("demo").await.unwrap();
    spec["settings"] = json!({"paymentTimeout": "20m", "corsOrigins": ["http://[1]"]});
    spec["services"] = json!({"user": {"resources": {"limits": {"memory": "200Mi"}}}});
    world.apply("demo", &spec).await;
    world
        .until::<Shop>("demo", "a condition names the field", |shop| {
            let conditions = shop.status.iter().flat_map(|status| &status.conditions);
            conditions.into_iter().any(|condition| condition.message.contains("corsOrigins"))
        })
        .await;
    assert_eq!(world.settings("demo").await, Some(good));
    world
        .until::<Deployment>("demo-user", "the rest of the spec is carried out", |deployment| {
            serde_json::to_value(deployment).unwrap().to_string().contains("200Mi")
        })
        .await;
}

#[tokio::test]
async fn row_08_a_field_that_cannot_change_is_told_of_and_not_tried_for_ever() {
    let Some(world) = World::start("immutable").await else { return };
    let mut spec = smallest(&world.consul.url());
    spec["database"] = json!({"engine": "sqlite", "sqlite": {"storageClassName": "first"}});
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    // The schema refuses another class, but not to leave it out, and then to name one.
    spec["database"] = json!({"engine": "sqlite"});
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    let kept: PersistentVolumeClaim = world.until("demo-user-data", "its volume is claimed", |_| true).await;
    spec["database"] = json!({"engine": "sqlite", "sqlite": {"storageClassName": "another"}});
    world.apply("demo", &spec).await;
    world
        .until::<Shop>("demo", "a condition says what can't change", |shop| {
            let conditions = shop.status.iter().flat_map(|status| &status.conditions);
            conditions.into_iter().any(|condition| {
                condition.message.contains("demo-user-data") && condition.message.contains("can't change")
            })
        })
        .await;
    world.looked_again("demo").await;
    world.proxy.forget();
    for _ in 0..3 {
        world.looked_again("demo").await;
    }
    let claims: Vec<_> =
        world.proxy.changes().into_iter().filter(|asked| asked.resource == "persistentvolumeclaims").collect();
    assert_eq!(claims, []);
    let still: PersistentVolumeClaim = world.until("demo-user-data", "it is there", |_| true).await;
    assert_eq!(kept.uid(), still.uid());
}

#[tokio::test]
async fn row_08_a_child_with_a_field_that_cannot_change_is_made_anew_where_nothing_is_lost() {
    let Some(mut world) = World::start("recreated").await else { return };
    world.apply("demo", &smallest(&world.consul.url())).await;
    world.ready("demo").await;
    let headless: Service = world.until("demo-user", "its Service is there", |_| true).await;
    world.kill().await;
    // Somebody put one there that has an address.
    let mut other = headless.clone();
    other.metadata.resource_version = None;
    other.metadata.uid = None;
    other.metadata.managed_fields = None;
    let spec = other.spec.as_mut().unwrap();
    (spec.cluster_ip, spec.cluster_ips) = (None, None);
    world.delete::<Service>("demo-user").await;
    world.until_gone::<Service>("demo-user").await;
    world.api::<Service>().create(&PostParams::default(), &other).await.unwrap();
    world.operate().await;
    world
        .until::<Service>("demo-user", "it is headless again", |service| {
            service.spec.as_ref().is_some_and(|spec| spec.cluster_ip.as_deref() == Some("None"))
        })
        .await;
    world.ready("demo").await;
}

#[tokio::test]
async fn row_09_an_optional_field_that_is_taken_out_of_the_spec_is_taken_out_of_the_child() {
    let Some(world) = World::start("optional").await else { return };
    let bare = smallest(&world.consul.url());
    let mut spec = bare.clone();
    spec["gateway"] = json!({"ingress": {"host": "optional.localhost", "annotations": {"example.com/a": "1"}}});
    spec["services"] = json!({"user": {"resources": {"limits": {"memory": "333Mi"}}}});
    spec["settings"] = json!({"corsOrigins": ["https://shop.example"]});
    world.apply("demo", &spec).await;
    world.ready("demo").await;
    let has_limit = |deployment: &Deployment| serde_json::to_value(deployment).unwrap().to_string().contains("333Mi");
    world.until::<Deployment>("demo-user", "it has the limit", has_limit).await;

    spec["gateway"]["ingress"] = json!({"host": "optional.localhost"});
    spec.as_object_mut().unwrap().remove("services");
    world.apply("demo", &spec).await;
    world.until::<Deployment>("demo-user", "it has the limit no more", |deployment| !has_limit(deployment)).await;
    world
        .until::<Ingress>("demo-gateway", "its annotation is gone", |ingress| {
            !ingress.annotations().contains_key("example.com/a")
        })
        .await;
    world.apply("demo", &bare).await;
    world.until_gone::<Ingress>("demo-gateway").await;
    world.wait("the settings are without origins", async || world.settings("demo").await == Some(json!({}))).await;
    world.ready("demo").await;
}

#[tokio::test]
async fn row_11_the_hand_over_to_the_autoscaler_never_dips_and_it_alone_says_how_many() {
    let Some(world) = World::start("autoscaling").await else { return };
    world.databases().await;
    let mut spec = postgres(&world.consul.url());
    spec["services"] = json!({"product": {"replicas": 3}});
    world.apply("demo", &spec).await;
    world.ready("demo").await;

    // Whatever number it ever has is seen: a write that is carried out is an event.
    let seen = world.record_replicas("demo-product").await;
    world.proxy.forget();
    spec["services"] = json!({"product": {"autoscaling": {"minReplicas": 2, "maxReplicas": 6}}});
    world.apply("demo", &spec).await;
    world.until::<HorizontalPodAutoscaler>("demo-product", "it has an autoscaler", |_| true).await;
    world.ready("demo").await;
    // As the autoscaler does it.
    let scale = Patch::Merge(json!({"spec": {"replicas": 5}}));
    world.api::<Deployment>().patch_scale("demo-product", &PatchParams::default(), &scale).await.unwrap();
    world.ready("demo").await;
    world.looked_again("demo").await;
    let numbers = seen.lock().clone();
    assert!(numbers.iter().all(|number| *number >= 3), "{numbers:?}");
    assert_eq!(numbers.last(), Some(&5), "{numbers:?}");
    let own = world.proxy.changes().into_iter().filter(|asked| {
        asked.resource == "deployments"
            && asked.name.as_deref() == Some("demo-product")
            && !asked.query.contains("fieldManager=shop-operator-replicas")
    });
    for change in own {
        assert!(change.body["spec"].get("replicas").is_none(), "{change:?}");
    }
}
