//! More Shops than anyone has.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use serde_json::json;
use shop_operator::shop::{Phase, Shop};
use shop_testing_consul::{Behaviour, Proxy as ConsulProxy};
use tokio::time::Instant;

use crate::support::{World, smallest};

/// Enough to wait minutes behind.
const SHOPS: usize = 1000;
/// What one that is looked at on its own may take while all others are there.
const SOON: Duration = Duration::from_secs(30);
/// How long it may take until each was looked at for the first time: twenty calls each, to one small API server.
const ALL: Duration = Duration::from_mins(8);
/// What a process without any Shop has, and ten kilobytes for each.
const MEMORY_MIB: u64 = 64;

/// The operator's own process; killed when this is dropped.
struct Process(Child);

impl Process {
    fn start(world: &World) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shop-operator"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SHOP_") || name.starts_with("OTEL_")) {
            command.env_remove(name);
        }
        let process = command
            .arg("run")
            .env("KUBECONFIG", world.proxy.kubeconfig())
            .env("SHOP_OPERATOR_NAMESPACE", &world.namespace)
            .env("SHOP_ADMIN_LISTEN", "127.0.0.1:0")
            .env("SHOP_LOG_LEVEL", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(process)
    }

    /// Memory of its own, in MiB: what the binary's pages take is not its Shops'.
    fn memory_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn row_28_of_many_shops_a_slow_one_starves_none_and_memory_stays_bounded() {
    let Some(world) = World::asleep("thousand").await else { return };
    let hung = ConsulProxy::start(vec![world.consul.http_address()]).await;
    hung.behave(Behaviour::Hang);
    let mut paused = smallest(&world.consul.url());
    paused["paused"] = json!(true);
    let (world, paused) = (&world, &paused);
    stream::iter(0..SHOPS)
        .for_each_concurrent(16, |number| async move {
            world.apply(&format!("shop-{number}"), paused).await;
        })
        .await;
    for number in 0..10 {
        world.apply(&format!("slow-{number}"), &smallest(&hung.url())).await;
    }
    let process = Process::start(world);
    world.apply("demo", &smallest(&world.consul.url())).await;
    world.until::<Deployment>("demo-gateway", "one among them is served", |_| true).await;
    let begun = Instant::now();
    while told(world).await < SHOPS {
        assert!(begun.elapsed() < ALL, "{} of them were looked at", told(world).await);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    println!("{SHOPS} Shops were looked at within {:?} more", begun.elapsed());
    world.delete::<ConfigMap>("demo-settings").await;
    let begun = Instant::now();
    world.until::<ConfigMap>("demo-settings", "what was taken from one comes back", |_| true).await;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let memory = process.memory_mib();
    println!("it has {memory} MiB");
    assert!(memory < MEMORY_MIB, "{memory} MiB");
}

/// How many it has told that they are paused.
async fn told(world: &World) -> usize {
    let shops = world.api::<Shop>().list(&kube::api::ListParams::default()).await.unwrap();
    let paused = |shop: &&Shop| shop.status.as_ref().is_some_and(|status| status.phase == Some(Phase::Paused));
    shops.iter().filter(paused).count()
}
