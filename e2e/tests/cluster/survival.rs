//! Rows of what an operator must survive in which nodes have a part. `operator/tests/it` has every row, without nodes.

use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use shop_operator::shop::Shop;

use crate::support::{OPERATOR_NAMESPACE, Scene, condition, kubectl, message_of, smallest, until};

/// Often enough to find it in the middle of things.
const KILLS: usize = 5;

/// Stops the operator, or starts it.
async fn operators(scene: &Scene, replicas: i32) {
    let api: Api<Deployment> = Api::namespaced(scene.cluster.client.clone(), OPERATOR_NAMESPACE);
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    api.patch_scale("shop-operator", &PatchParams::default(), &patch).await.unwrap();
    let count = replicas.to_string();
    until("the operators are as many as told", async || {
        let shown = kubectl(&[
            "get",
            "pods",
            "--namespace",
            OPERATOR_NAMESPACE,
            "--selector",
            "app.kubernetes.io/name=shop-operator",
            "--no-headers",
        ]);
        let running = shown.lines().filter(|line| line.contains("1/1")).count().to_string();
        running == count && shown.lines().count().to_string() == count
    })
    .await;
}

#[tokio::test]
async fn row_01_killed_again_and_again_while_it_makes_a_shop_the_operator_gets_there() {
    let scene = Scene::alone("operator-killed").await;
    scene.apply("demo", &smallest(&scene.host())).await;
    let mut kills = 0;
    // Each kill finds it after some more of its writes; operator/tests/it kills it after each single one.
    let objects = async || {
        let label = "shop-operator.io/shop=demo";
        let kinds = "secrets,configmaps,services,persistentvolumeclaims,jobs,deployments,ingresses,networkpolicies";
        kubectl(&["get", kinds, "--namespace", &scene.namespace, "--selector", label, "--output", "name"])
            .lines()
            .count()
    };
    while condition(&scene.shop("demo").await, "Ready") != Some(true) && kills < KILLS {
        let before = objects().await;
        kubectl(&[
            "delete",
            "pods",
            "--namespace",
            OPERATOR_NAMESPACE,
            "--selector",
            "app.kubernetes.io/name=shop-operator",
            "--force",
            "--grace-period=0",
        ]);
        kills += 1;
        until("another one acts", async || {
            objects().await > before || condition(&scene.shop("demo").await, "Ready") == Some(true)
        })
        .await;
    }
    assert!(kills >= 2, "{kills}");
    scene.ready("demo").await;
    scene.client().customer().await;
}

#[tokio::test]
async fn row_04_a_shop_that_comes_back_under_its_name_is_another_one() {
    let scene = Scene::set("again").await;
    scene.apply("demo", &smallest(&scene.host())).await;
    let first = scene.ready("demo").await.uid().unwrap();
    // The operator is away while the one goes and the other comes.
    scene.api::<Shop>().delete("demo", &DeleteParams::default()).await.unwrap();
    until("the Shop is gone", async || scene.api::<Shop>().get_opt("demo").await.unwrap().is_none()).await;
    scene.apply_with("demo", &smallest(&scene.host()), &json!({"shop-operator.io/adopt": "true"})).await;
    let second = scene.ready("demo").await.uid().unwrap();
    assert_ne!(first, second);
    let registry = scene.registry();
    assert_eq!(registry.instances(&second, "demo-order").await.len(), 1);
    assert!(registry.get(&format!("/v1/catalog/node/shop-{first}")).await.is_none_or(|node| node.is_null()));
    for component in ["user", "product", "order", "gateway"] {
        let deployment = scene.api::<Deployment>().get(&format!("demo-{component}")).await.unwrap();
        assert_eq!(deployment.owner_references()[0].uid, second);
    }
}

#[tokio::test]
async fn row_06_what_never_got_ready_and_is_reverted_is_ready_again_by_itself() {
    let scene = Scene::set("reverted").await;
    let good = smallest(&scene.host());
    scene.apply("demo", &good).await;
    scene.ready("demo").await;
    // An image that nobody has, and more than any node has.
    let mut nowhere = good.clone();
    nowhere["version"] = json!("0.9.9-nowhere");
    let mut impossible = good.clone();
    impossible["services"] = json!({"product": {"resources": {"requests": {"cpu": "900"}}}});
    for bad in [nowhere, impossible] {
        scene.apply("demo", &bad).await;
        scene
            .until::<Shop>("demo", "it is told of", |shop| {
                let observed = shop.status.as_ref().and_then(|status| status.observed_generation);
                observed == shop.metadata.generation
                    && condition(shop, "Ready") == Some(false)
                    && message_of(shop, "Ready").contains("product")
            })
            .await;
        scene.apply("demo", &good).await;
        scene.ready("demo").await;
    }
    scene.client().customer().await;
}

#[tokio::test]
async fn row_10_whatever_is_deleted_comes_back_and_ready_does_not_lie_meanwhile() {
    let scene = Scene::set("owned").await;
    scene.apply("demo", &smallest(&scene.host())).await;
    scene.ready("demo").await;
    let label = "shop-operator.io/shop=demo";
    let kinds = "services,ingresses,configmaps,secrets,serviceaccounts,networkpolicies,deployments";
    let listed = kubectl(&["get", kinds, "--namespace", &scene.namespace, "--selector", label, "--output", "name"]);
    let mut deleted = 0;
    // What is a credential is not made anew without saying so.
    for object in listed.lines().filter(|object| !object.starts_with("secret/")) {
        let uid = || {
            let namespace = ["--namespace", &scene.namespace, "--ignore-not-found"];
            kubectl(&[&["get", object, "--output", "jsonpath={.metadata.uid}"], &namespace[..]].concat())
        };
        let before = uid();
        kubectl(&["delete", object, "--namespace", &scene.namespace, "--wait=false"]);
        until(&format!("{object} is back"), async || {
            let now = uid();
            !now.is_empty() && now != before
        })
        .await;
        if object.starts_with("deployment") {
            // Its pods went with it: what says Ready now would lie.
            scene
                .until::<Shop>("demo", "it is not ready meanwhile", |shop| condition(shop, "Ready") != Some(true))
                .await;
        }
        deleted += 1;
    }
    assert!(deleted >= 12, "{listed}");
    scene.ready("demo").await;
    scene.client().customer().await;
}

#[tokio::test]
async fn row_15_of_two_shops_that_want_one_host_the_later_is_told_and_the_first_keeps_it() {
    let first = Scene::set("host-first").await;
    let second = first.another("host-second").await;
    let mut spec = smallest(&first.host());
    for service in ["user", "product", "order"] {
        spec["services"][service]["resources"] = json!({"requests": {"cpu": "20m"}});
    }
    spec["gateway"]["resources"] = json!({"requests": {"cpu": "20m"}});
    first.apply("demo", &spec).await;
    first.ready("demo").await;
    let product = first.admin("demo").await.product(500, 10).await;
    second.apply("demo", &spec).await;
    second
        .until::<Shop>("demo", "the later is told", |shop| {
            shop.status
                .iter()
                .flat_map(|status| &status.conditions)
                .any(|condition| condition.reason == "HostConflict" && condition.message.contains(&first.host()))
        })
        .await;
    first.client().get(&format!("/products/{product}")).await.expect(200);
    second.delete("demo").await;
    first.client().get(&format!("/products/{product}")).await.expect(200);
    assert_eq!(condition(&first.shop("demo").await, "Ready"), Some(true));
}

#[tokio::test]
async fn row_19_entries_of_pods_that_went_while_the_operator_was_away_go_and_those_that_live_stay() {
    let scene = Scene::alone("away").await;
    scene.apply("demo", &smallest(&scene.host())).await;
    let uid = scene.ready("demo").await.uid().unwrap();
    operators(&scene, 0).await;
    let pod = scene.pods("product").await.remove(0);
    let dead = pod.uid().unwrap();
    // Without grace, as with a node that is killed: the process says nothing.
    scene.kill(&pod).await;
    let registry = scene.registry();
    until("another one has come", async || {
        let instances = registry.instances(&uid, "demo-product").await;
        instances.iter().any(|instance| instance.id != dead && instance.passing)
    })
    .await;
    // It may have got to say good-bye after all; then what a dead node leaves is put there.
    if registry.instances(&uid, "demo-product").await.iter().all(|instance| instance.id != dead) {
        let meta = json!({"owner": "shop", "shop_uid": uid, "namespace": scene.namespace, "shop": "demo"});
        registry
            .put(
                "/v1/catalog/register",
                &json!({
                    "Node": format!("shop-{uid}"), "Address": "0.0.0.0", "SkipNodeUpdate": true,
                    "Service": {"ID": dead, "Service": "demo-product", "Address": "203.0.113.1", "Port": 5003, "Meta": meta},
                    "Check": {"Node": format!("shop-{uid}"), "CheckID": format!("service:{dead}"), "Name": "x", "ServiceID": dead, "Status": "passing"},
                }),
            )
            .await;
    }
    operators(&scene, 1).await;
    until("the dead entry goes", async || {
        registry.instances(&uid, "demo-product").await.iter().all(|instance| instance.id != dead)
    })
    .await;
    assert_eq!(registry.instances(&uid, "demo-product").await.len(), 1);
    scene.ready("demo").await;
    scene.client().customer().await;
}

#[tokio::test]
async fn row_27_an_edit_reaches_the_pods_without_making_anew_what_need_not_be() {
    let scene = Scene::set("edited").await;
    let mut spec = smallest(&scene.host());
    scene.apply("demo", &spec).await;
    scene.ready("demo").await;
    let uids = async || {
        let mut uids = Vec::new();
        for component in ["user", "product", "order", "gateway"] {
            uids.push(scene.pods(component).await.into_iter().map(|pod| pod.uid().unwrap()).collect::<Vec<_>>());
        }
        uids
    };
    let before = uids().await;
    // Settings and the host: nobody is replaced.
    spec["settings"]["maintenance"] = json!(true);
    scene.apply("demo", &spec).await;
    until("the gateway is in maintenance", async || {
        let answer = scene.client().send(reqwest::Method::GET, "/products", None).await;
        answer.is_ok_and(|answer| answer.status == 503 && answer.body["code"].is_string())
    })
    .await;
    spec["settings"]["maintenance"] = json!(false);
    spec["gateway"]["ingress"]["host"] = json!(format!("other.{}", scene.host()));
    scene.apply("demo", &spec).await;
    scene.ready("demo").await;
    crate::support::Client::new(format!("other.{}", scene.host())).get("/products").await.expect(200);
    assert_eq!(uids().await, before);

    // A limit of one: that one alone.
    spec["services"] = json!({"product": {"resources": {"limits": {"memory": "200Mi"}}}});
    scene.apply("demo", &spec).await;
    scene.ready("demo").await;
    let after = uids().await;
    assert_ne!(after[1], before[1]);
    assert_eq!([&after[0], &after[2], &after[3]], [&before[0], &before[2], &before[3]]);
    let limit = scene.pods("product").await[0].spec.as_ref().unwrap().containers[0].resources.clone().unwrap();
    assert_eq!(limit.limits.unwrap()["memory"].0, "200Mi");

    // The gateway has no file that two can't share: one more beside the one that is there.
    spec["gateway"]["replicas"] = json!(2);
    scene.apply("demo", &spec).await;
    scene.ready("demo").await;
    let now = uids().await;
    assert!(now[3].len() == 2 && now[3].contains(&before[3][0]), "{now:?}");
}
