//! Credentials are made once, and never because they could not be read.

use k8s_openapi::api::core::v1::Secret;
use kube::{
    ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use shop_operator::shop::{Phase, Shop};
use shop_testing_kubernetes::{Fault, Verb};

use crate::support::{World, condition, reason_of, smallest};

async fn data(world: &World) -> Vec<(String, Option<serde_json::Value>)> {
    let secrets = world.api::<Secret>().list(&ListParams::default()).await.unwrap();
    secrets.iter().map(|secret| (secret.name_any(), secret.data.as_ref().map(|data| json!(data)))).collect()
}

#[tokio::test]
async fn row_13_secrets_that_cannot_be_read_stay_as_they_are() {
    let Some(mut world) = World::start("unreadable").await else { return };
    world.apply("demo", &smallest(&world.consul.url())).await;
    world.ready("demo").await;
    let before = data(&world).await;
    assert!(before.len() >= 6, "{before:?}");
    for refusal in [403, 429, 500, 503] {
        world.kill().await;
        world.proxy.forget();
        world.proxy.rule(move |asked| {
            let reads = asked.resource == "secrets" && asked.verb == Verb::Read;
            if reads { Fault::Answer(refusal) } else { Fault::Pass }
        });
        world.operate().await;
        // Through the first attempt, and more.
        world.looked_again("demo").await;
        world.looked_again("demo").await;
        let tried =
            world.proxy.asked().into_iter().any(|asked| asked.resource == "secrets" && asked.verb == Verb::Read);
        assert!(tried);
        let written: Vec<_> = world.proxy.changes().into_iter().filter(|asked| asked.resource == "secrets").collect();
        assert_eq!(written, [], "after {refusal}");
    }
    world.proxy.behave();
    world.looked_again("demo").await;
    world.ready("demo").await;
    assert_eq!(data(&world).await, before);
}

#[tokio::test]
async fn row_13_a_secret_with_something_else_in_it_stays_as_it_is_and_is_told_of() {
    let Some(world) = World::start("garbled").await else { return };
    world.apply("demo", &smallest(&world.consul.url())).await;
    world.ready("demo").await;
    let secrets = world.api::<Secret>();
    let garbled = json!({"stringData": {"keys.json": "no keys"}});
    secrets.patch("demo-order-signing-keys", &PatchParams::default(), &Patch::Merge(garbled)).await.unwrap();
    world
        .until::<Shop>("demo", "a condition names the Secret", |shop| {
            let conditions = shop.status.iter().flat_map(|status| &status.conditions);
            condition(shop, "Ready") == Some(false)
                && conditions.into_iter().any(|condition| condition.message.contains("demo-order-signing-keys"))
        })
        .await;
    let still = secrets.get("demo-order-signing-keys").await.unwrap();
    assert_eq!(still.data.unwrap()["keys.json"].0, b"no keys");
}

#[tokio::test]
async fn row_13_secrets_that_the_api_server_refuses_are_told_of() {
    let Some(mut world) = World::asleep("refused").await else { return };
    for refusal in [403, 422] {
        let name = format!("demo-{refusal}");
        world.proxy.rule(move |asked| {
            let creates = asked.resource == "secrets" && asked.method == "POST";
            if creates { Fault::Answer(refusal) } else { Fault::Pass }
        });
        world.apply(&name, &smallest(&world.consul.url())).await;
        world.operate().await;
        world
            .until::<Shop>(&name, "a condition has what the API server says", |shop| {
                shop.status.as_ref().and_then(|status| status.phase) == Some(Phase::Pending)
                    && reason_of(shop, "Degraded") == "ApplyFailed"
                    && reason_of(shop, "Progressing") == "Blocked"
            })
            .await;
        world.proxy.behave();
        world.touch(&name).await;
        world.ready(&name).await;
    }
}
