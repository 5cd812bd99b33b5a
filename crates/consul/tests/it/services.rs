//! Registering, and what others see of it.

use std::{collections::HashMap, time::Duration};

use shop_consul::{
    AgentRegistration, CatalogRegistration, Client, Error, Instances, ServiceInstance, Status, TtlCheck,
};
use shop_testing_consul::Consul;

use crate::{client, until_newer_than};

fn meta() -> HashMap<String, String> {
    HashMap::from([("shop_uid".to_owned(), "0af1".to_owned())])
}

fn with_agent(id: &str, ttl: Duration) -> AgentRegistration {
    AgentRegistration {
        id: id.to_owned(),
        service: "demo-user".to_owned(),
        address: "10.0.0.7".to_owned(),
        port: 5001,
        meta: meta(),
        check: TtlCheck { ttl, deregister_after: Duration::from_mins(2), status: Status::Critical },
    }
}

fn in_catalog(id: &str, status: Status) -> CatalogRegistration {
    CatalogRegistration {
        node: "shop-0af1".to_owned(),
        node_meta: HashMap::from([("owner".to_owned(), "shop".to_owned())]),
        id: id.to_owned(),
        service: "demo-user".to_owned(),
        address: "10.0.0.7".to_owned(),
        port: 5001,
        meta: meta(),
        status,
        note: "the test says so".to_owned(),
    }
}

fn users(passing: bool) -> Instances {
    Instances { service: "demo-user".to_owned(), filter: Some("Service.Meta.shop_uid == \"0af1\"".to_owned()), passing }
}

async fn until(client: &Client, which: &Instances, condition: impl Fn(&[ServiceInstance]) -> bool) {
    let mut seen = client.instances(which, None).await.unwrap();
    while !condition(&seen.value) {
        seen = client.instances(which, until_newer_than(seen.index)).await.unwrap();
    }
}

#[tokio::test]
async fn an_agent_keeps_an_instance_for_as_long_as_it_is_heard_of() {
    let consul = Consul::start().await;
    let client = client(&consul);
    let not_there = client.report_to_agent("user-1", Status::Passing, "").await.unwrap_err();
    assert!(matches!(not_there, Error::NotFound { .. }), "{not_there:?}");

    client.register_with_agent(&with_agent("user-1", Duration::from_secs(1))).await.unwrap();
    let everyone = client.instances(&users(false), None).await.unwrap().value;
    let [instance] = everyone.as_slice() else { panic!("{everyone:?}") };
    assert_eq!((instance.id.as_str(), instance.address.as_str(), instance.port), ("user-1", "10.0.0.7", 5001));
    assert_eq!((instance.status, instance.meta["shop_uid"].as_str()), (Status::Critical, "0af1"));
    assert!(client.instances(&users(true), None).await.unwrap().value.is_empty());

    client.report_to_agent("user-1", Status::Passing, "ready").await.unwrap();
    until(&client, &users(true), |seen| seen.len() == 1).await;
    // It is not heard of any more.
    until(&client, &users(true), <[_]>::is_empty).await;
    until(&client, &users(false), |seen| seen.len() == 1 && seen[0].status == Status::Critical).await;

    client.deregister_from_agent("user-1").await.unwrap();
    until(&client, &users(false), <[_]>::is_empty).await;
    let gone = client.deregister_from_agent("user-1").await.unwrap_err();
    assert!(matches!(gone, Error::NotFound { .. }), "{gone:?}");
}

#[tokio::test]
async fn the_catalogue_keeps_what_it_is_told() {
    let consul = Consul::start().await;
    let client = client(&consul);
    client.register_in_catalog(&in_catalog("a", Status::Critical)).await.unwrap();
    client.register_in_catalog(&in_catalog("b", Status::Passing)).await.unwrap();
    let passing = client.instances(&users(true), None).await.unwrap().value;
    assert_eq!(
        passing.iter().map(|one| (one.id.as_str(), one.node.as_str())).collect::<Vec<_>>(),
        [("b", "shop-0af1")]
    );

    client.register_in_catalog(&in_catalog("a", Status::Passing)).await.unwrap();
    until(&client, &users(true), |seen| seen.len() == 2).await;
    let before = client.instances(&users(true), None).await.unwrap().index;
    client.register_in_catalog(&in_catalog("a", Status::Passing)).await.unwrap();
    let after = client.instances(&users(true), None).await.unwrap().index;
    assert_eq!(before, after, "what changes nothing wakes nobody");

    client.deregister_from_catalog("shop-0af1", "a").await.unwrap();
    client.deregister_from_catalog("shop-0af1", "a").await.unwrap();
    until(&client, &users(false), |seen| seen.len() == 1 && seen[0].id == "b").await;
    client.deregister_node("shop-0af1").await.unwrap();
    until(&client, &users(false), <[_]>::is_empty).await;
}

#[tokio::test]
async fn a_node_is_read_with_all_that_is_under_it() {
    let consul = Consul::start().await;
    let client = client(&consul);
    assert_eq!(client.node("shop-0af1").await.unwrap(), None);
    client.register_in_catalog(&in_catalog("a", Status::Critical)).await.unwrap();
    client.register_in_catalog(&in_catalog("b", Status::Passing)).await.unwrap();
    let node = client.node("shop-0af1").await.unwrap().unwrap();
    assert_eq!(node.meta, in_catalog("a", Status::Passing).node_meta);
    let mut services: Vec<_> = node.services.iter().map(|one| (one.id.as_str(), one.status)).collect();
    services.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(services, [("a", Status::Critical), ("b", Status::Passing)]);

    client.deregister_from_catalog("shop-0af1", "a").await.unwrap();
    client.deregister_from_catalog("shop-0af1", "b").await.unwrap();
    let empty = client.node("shop-0af1").await.unwrap().unwrap();
    assert_eq!(empty.services, []);
    client.deregister_node("shop-0af1").await.unwrap();
    assert_eq!(client.node("shop-0af1").await.unwrap(), None);
}
