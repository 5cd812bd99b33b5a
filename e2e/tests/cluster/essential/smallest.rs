//! One manifest, a running shop.

use std::time::Instant;

use kube::ResourceExt as _;

use crate::support::{Scene, smallest, until};

#[tokio::test]
async fn one_manifest_becomes_a_shop_that_takes_an_order() {
    let scene = Scene::quiet("smallest").await;
    let begun = Instant::now();
    scene.apply("demo", &smallest(&scene.host())).await;
    let shop = scene.ready("demo").await;
    println!("apply to Ready: {:.1} s", begun.elapsed().as_secs_f64());
    let uid = shop.uid().unwrap();
    let status = shop.status.unwrap();
    assert_eq!(status.ready_services.as_deref(), Some("4/4"));
    assert_eq!(status.url, Some(format!("http://{}", scene.host())));
    for component in ["user", "product", "order", "gateway"] {
        let instances = scene.registry().instances(&uid, &format!("demo-{component}")).await;
        assert_eq!(instances.len(), 1, "{component}: {instances:?}");
        assert!(instances[0].passing, "{component}: {instances:?}");
        let told = status.services.iter().find(|service| service.name == component).unwrap();
        assert_eq!((told.ready, told.desired, told.registered), (1, 1, Some(1)), "{told:?}");
    }

    let product = scene.admin("demo").await.product(1_999, 10).await;
    let customer = scene.client().customer().await;
    let order = customer.order(&product).await;
    assert_eq!(
        (order["status"].as_str(), order["total"]["amount"].as_i64()),
        (Some("reserved"), Some(1_999)),
        "{order}"
    );
    let line = crate::support::kubectl(&["get", "shops", "--namespace", &scene.namespace, "--no-headers"]);
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(&words[..5], ["demo", "True", "Ready", "0.1.0", "4/4"], "{line}");
}

#[tokio::test]
async fn two_shops_of_one_name_have_nothing_in_common() {
    let one = Scene::set("one").await;
    let other = one.another("other").await;
    let small = serde_json::json!({"requests": {"cpu": "20m"}});
    for scene in [&one, &other] {
        let mut spec = smallest(&scene.host());
        for service in ["user", "product", "order"] {
            spec["services"][service]["resources"] = small.clone();
        }
        spec["gateway"]["resources"] = small.clone();
        scene.apply("demo", &spec).await;
    }
    let uids = [one.ready("demo").await.uid().unwrap(), other.ready("demo").await.uid().unwrap()];
    let product = one.admin("demo").await.product(500, 10).await;
    let customer = one.client().customer().await;
    customer.order(&product).await;

    // What the one has, the other does not.
    let stranger = other.client();
    stranger.get(&format!("/products/{product}")).await.expect(404);
    stranger.with_token(customer.token()).get("/orders").await.expect(401);
    stranger.with_token(one.admin("demo").await.token()).get("/users").await.expect(401);
    let registry = one.registry();
    let [mine, theirs] =
        [registry.instances(&uids[0], "demo-order").await, registry.instances(&uids[1], "demo-order").await];
    assert_eq!((mine.len(), theirs.len()), (1, 1));
    assert_ne!(mine, theirs);

    // And when the one goes, the other stays.
    one.delete("demo").await;
    until("nothing of it is in Consul", async || !registry.knows(&one.namespace, "demo", &uids[0]).await).await;
    other.client().customer().await;
    assert_eq!(registry.instances(&uids[1], "demo-order").await, theirs);
}
