//! Every manifest in `examples/` is taken as it is, and what can be had here gets ready.

use std::fs;

use shop_operator::shop::Shop;

use crate::support::{Scene, condition, project, until};

fn read(name: &str) -> String {
    fs::read_to_string(project().join("examples").join(name)).unwrap()
}

#[tokio::test]
async fn every_example_is_taken_by_the_api_server() {
    let scene = Scene::set("examples").await;
    let mut seen = 0;
    for entry in fs::read_dir(project().join("examples")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if std::path::Path::new(&name).extension().is_some_and(|extension| extension == "yaml") {
            scene.kubectl_apply_dry(&read(&name));
            seen += 1;
        }
    }
    assert!(seen >= 4, "{seen}");
}

#[tokio::test]
async fn the_smallest_example_gets_ready() {
    let scene = Scene::set("example-smallest").await;
    scene.kubectl_apply(&read("smallest.yaml"));
    scene.ready("demo").await;
}

#[tokio::test]
async fn the_postgres_example_gets_ready() {
    let scene = Scene::set("example-postgres").await;
    scene.postgres();
    scene.kubectl_apply(&read("postgres.yaml"));
    scene.ready("demo").await;
}

#[tokio::test]
async fn what_the_other_examples_lack_here_is_told() {
    for name in ["mysql.yaml", "production-like.yaml"] {
        let scene = Scene::set("example-other").await;
        scene.kubectl_apply(&read(name));
        let shops = scene.api::<Shop>();
        until("it says what it lacks", async || {
            let listed = shops.list(&kube::api::ListParams::default()).await.unwrap();
            listed.iter().any(|shop| {
                condition(shop, "Ready") == Some(false) && shop.status.as_ref().unwrap().observed_generation.is_some()
            })
        })
        .await;
    }
}
