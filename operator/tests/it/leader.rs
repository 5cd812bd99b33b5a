//! Of several operators one acts.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use k8s_openapi::api::core::v1::ConfigMap;
use shop_operator::{
    controller::Pulse,
    election::{ApiLeases, Elector},
};
use shop_testing_kubernetes::{Fault, Proxy};
use tokio::task::JoinHandle;

use crate::support::{Operator, RHYTHM, World, client, smallest};

/// Takes part in the election, and acts while it is elected.
async fn candidate(world: &World, proxy: &Proxy, name: &str) -> JoinHandle<()> {
    let (namespace, gateway) = (&world.namespace, world.gateway.address);
    let controller = Operator::controller(proxy.kubeconfig(), namespace, gateway, RHYTHM, &Pulse::default()).await;
    let leases = ApiLeases::new(client(proxy.kubeconfig()).await, &world.namespace, "shop-operator");
    let mut elector = Elector::new(leases, name.to_owned());
    tokio::spawn(async move {
        loop {
            elector.lead(|| controller.run()).await;
        }
    })
}

#[tokio::test]
async fn row_22_a_leader_that_cannot_renew_stops_writing_before_another_can_take_over() {
    let Some(world) = World::asleep("leader").await else { return };
    let (first, second) = (&world.proxy, Proxy::start(world.kubernetes).await);
    let one = candidate(&world, first, "one").await;
    world.apply("demo", &smallest(&world.consul.url())).await;
    world.ready("demo").await;
    let two = candidate(&world, &second, "two").await;
    world
        .wait("the other asks for the lease", async || second.asked().iter().any(|asked| asked.resource == "leases"))
        .await;
    assert_eq!(second.changes(), []);

    // All but the lease goes through, so that nothing but the leader itself keeps it from writing. Its work never ends.
    first.rule(|asked| if asked.resource == "leases" { Fault::Hang } else { Fault::Pass });
    let stop = Arc::new(AtomicBool::new(false));
    let (api, stopped) = (world.api::<ConfigMap>(), Arc::clone(&stop));
    let work = tokio::spawn(async move {
        while !stopped.load(Ordering::Relaxed) {
            let _gone_already = api.delete("demo-settings", &kube::api::DeleteParams::default()).await;
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    });
    world.wait("the other acts", async || !second.changes().is_empty()).await;
    let last = first.changes().last().unwrap().at;
    let begins = second.changes().first().unwrap().at;
    assert!(last < begins, "the first wrote {:?} after the second began", last - begins);
    // Nor later.
    let (count, others) = (first.changes().len(), second.changes().len());
    world.wait("the other goes on", async || second.changes().len() > others + 3).await;
    assert_eq!(first.changes().len(), count);
    stop.store(true, Ordering::Relaxed);
    work.await.unwrap();
    one.abort();
    two.abort();
}
