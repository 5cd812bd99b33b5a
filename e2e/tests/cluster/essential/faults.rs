//! Pods that are killed under load.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use kube::ResourceExt as _;
use serde_json::{Value, json};
use shop_bench::load::Mix;

use crate::support::{Scene, all_served, kubectl, postgres, traffic, until};

/// How long the entry of a pod that is gone may stay in Consul, and its address be tried.
const CLEARED: Duration = Duration::from_secs(2);
/// How long nobody may try the address then, while requests go on.
const WATCHED: Duration = Duration::from_secs(5);
/// The first process of the node that was brought up for the tests: its network is where pods meet.
const NODE: &str = "SHOP_E2E_NODE_PID";

/// The bridge that pods are joined by there.
const BRIDGE: &str = "pods";

/// Takes the place of a pod that is gone, and counts who connects to its address. Where nobody has the address, a kernel that
/// is closing a connection to it goes on asking for it, which is no try of anybody's.
struct Tries {
    node: String,
    address: String,
}

impl Tries {
    /// `None` on a cluster whose network is not at hand.
    fn count(address: &str) -> Option<Self> {
        let tries = Self { node: std::env::var(NODE).ok()?, address: format!("{address}/32") };
        tries.run(
            &["nft", "--file", "-"],
            &format!(
                "add table bridge shop_e2e
                 add set bridge shop_e2e callers {{ type ipv4_addr; flags dynamic; }}
                 add chain bridge shop_e2e seen {{ type filter hook prerouting priority 0; }}
                 add rule bridge shop_e2e seen ip daddr {address} tcp flags & (syn | ack) == syn add @callers {{ ip saddr }}"
            ),
        );
        tries.run(&["ip", "address", "add", &tries.address, "dev", BRIDGE], "");
        Some(tries)
    }

    /// Addresses of those who tried.
    fn callers(&self) -> Vec<String> {
        let said = self.run(&["nft", "--json", "list", "set", "bridge", "shop_e2e", "callers"], "");
        let said: Value = serde_json::from_str(&said).unwrap();
        let objects = said["nftables"].as_array().unwrap();
        let set = objects.iter().find_map(|object| object.get("set")).unwrap();
        set["elem"].as_array().into_iter().flatten().map(ToString::to_string).collect()
    }

    /// Runs a program in the node's network.
    fn run(&self, program: &[&str], input: &str) -> String {
        let network = format!("--net=/proc/{}/ns/net", self.node);
        let mut run = Command::new("nsenter");
        run.args([&network, "--"]).args(program).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut run = run.spawn().unwrap();
        run.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success(), "{program:?}: {input}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Tries {
    fn drop(&mut self) {
        self.run(&["ip", "address", "delete", &self.address, "dev", BRIDGE], "");
        self.run(&["nft", "delete", "table", "bridge", "shop_e2e"], "");
    }
}

#[tokio::test]
async fn a_pod_that_is_killed_is_out_of_consul_and_not_tried_any_more_within_two_seconds() {
    let scene = Scene::alone("killed").await;
    scene.postgres();
    let mut spec = postgres(&scene.host());
    let two = json!({"replicas": 2, "resources": {"requests": {"cpu": "20m"}}});
    spec["services"] = json!({"user": two, "product": two, "order": two});
    spec["gateway"]["replicas"] = json!(2);
    spec["gateway"]["resources"] = two["resources"].clone();
    scene.apply("demo", &spec).await;
    let uid = scene.ready("demo").await.uid().unwrap();
    // What may be repeated without effect has to succeed; gateways do that within their budget.
    let load = traffic(&scene, "demo", Mix::browsing()).await;
    for component in ["product", "order", "user"] {
        let pod = scene.pods(component).await.remove(0);
        let (id, service) = (pod.uid().unwrap(), format!("demo-{component}"));
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap();
        kubectl(&["delete", "pod", &pod.name_any(), "--namespace", &scene.namespace, "--force", "--grace-period=0"]);
        let begun = Instant::now();
        until("its entry is gone", async || {
            scene.registry().instances(&uid, &service).await.iter().all(|instance| instance.id != id)
        })
        .await;
        let took = begun.elapsed();
        println!("{component}: its entry was gone after {:.2} s", took.as_secs_f64());
        assert!(took < CLEARED, "{component}: {took:?}");
        tokio::time::sleep_until((begun + CLEARED).into()).await;
        if let Some(tries) = Tries::count(&address) {
            // Not a wait for something to happen: nothing may happen meanwhile.
            tokio::time::sleep(WATCHED).await;
            assert_eq!(tries.callers(), Vec::<String>::new(), "{component}: {address} was tried");
        }
        scene.ready("demo").await;
    }
    all_served(load).await;
}
