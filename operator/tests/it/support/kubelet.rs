//! What a kubelet and the processes in its pods would do: pods get ready, tell Consul of themselves, end. The controllers
//! that made the pods are the real ones.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::sleep};

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(100);

/// What becomes of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It serves; of a Job, it succeeds.
    Runs,
    /// Nothing happens to it, as when no node has room or an image can't be had.
    Waits,
    /// It starts, ends, and starts again; of a Job, it fails. It says this at its end.
    Fails(&'static str),
    /// Of a Job: it fails, and says by its exit code that another try would too.
    Refuses(&'static str),
}

type Decide = Box<dyn FnMut(&Pod) -> Fate + Send>;

/// Looks after the pods of a namespace until it is dropped.
pub(crate) struct Kubelet {
    decide: Arc<Mutex<Decide>>,
    /// Whether processes tell Consul that they leave, as they do unless they are killed.
    leaves: Arc<Mutex<bool>>,
    working: JoinHandle<()>,
}

impl Kubelet {
    pub(crate) fn start(client: Client, namespace: &str, consul: String) -> Self {
        let decide: Arc<Mutex<Decide>> = Arc::new(Mutex::new(Box::new(|_| Fate::Runs)));
        let leaves = Arc::new(Mutex::new(true));
        let node = Node {
            pods: Api::namespaced(client, namespace),
            consul,
            http: reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build().unwrap(),
            registered: BTreeMap::new(),
        };
        let working = tokio::spawn(node.work(Arc::clone(&decide), Arc::clone(&leaves)));
        Self { decide, leaves, working }
    }

    /// Decides about pods from now on, those that wait included.
    pub(crate) fn decide(&self, decide: impl FnMut(&Pod) -> Fate + Send + 'static) {
        *self.decide.lock() = Box::new(decide);
    }

    /// Processes end from now on without a word to Consul.
    pub(crate) fn processes_die(&self) {
        *self.leaves.lock() = false;
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.working.abort();
    }
}

struct Node {
    pods: Api<Pod>,
    consul: String,
    http: reqwest::Client,
    /// What each pod told Consul.
    registered: BTreeMap<String, String>,
}

impl Node {
    async fn work(mut self, decide: Arc<Mutex<Decide>>, leaves: Arc<Mutex<bool>>) {
        loop {
            // A namespace that goes, or an API server that is busy: it looks again.
            if let Ok(pods) = self.pods.list(&ListParams::default()).await {
                let leave = *leaves.lock();
                self.look_for_gone(&pods.items, leave).await;
                for pod in pods.items {
                    let fate = (decide.lock())(&pod);
                    self.look_after(&pod, fate).await;
                }
            }
            sleep(INTERVAL).await;
        }
    }

    /// The API server removes pods at once that are on no node.
    async fn look_for_gone(&mut self, pods: &[Pod], leave: bool) {
        let is_there = |uid: &String| pods.iter().any(|pod| pod.uid().as_ref() == Some(uid));
        let gone: Vec<_> = self.registered.keys().filter(|uid| !is_there(uid)).cloned().collect();
        for uid in gone {
            let node = self.registered.remove(&uid).unwrap();
            if leave {
                self.tell("deregister", &json!({"Node": node, "ServiceID": uid})).await;
            }
        }
    }

    async fn look_after(&mut self, pod: &Pod, fate: Fate) {
        let before = pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        if matches!(before.as_str(), "Succeeded" | "Failed") {
            return;
        }
        if pod.metadata.deletion_timestamp.is_some() {
            // One that something else holds, as the controller of Jobs does until it has counted it.
            return self.set(pod, &ended(pod, 137, "")).await;
        }
        match fate {
            Fate::Waits => {}
            Fate::Runs if is_job(pod) => self.set(pod, &ended(pod, 0, report(pod))).await,
            Fate::Fails(message) if is_job(pod) => self.set(pod, &ended(pod, 1, message)).await,
            Fate::Refuses(message) if is_job(pod) => self.set(pod, &ended(pod, 65, message)).await,
            Fate::Fails(message) | Fate::Refuses(message) => {
                if before != "Running" || is_ready(pod) {
                    self.set(pod, &crashing(pod, message)).await;
                }
            }
            Fate::Runs => {
                if !is_ready(pod) {
                    let address = next_address();
                    self.register(pod, address).await;
                    self.set(pod, &serving(pod, address)).await;
                }
            }
        }
    }

    async fn set(&self, pod: &Pod, status: &Value) {
        let patch = Patch::Merge(json!({"metadata": {"uid": pod.uid()}, "status": status}));
        // It may be gone by now.
        let _gone = self.pods.patch_status(&pod.name_any(), &PatchParams::default(), &patch).await;
    }

    async fn register(&mut self, pod: &Pod, address: Ipv4Addr) {
        let Some(shop) = variable(pod, "SHOP_UID") else { return };
        let (uid, node) = (pod.uid().unwrap(), format!("shop-{shop}"));
        let name = format!("{}-{}", pod.labels()["shop-operator.io/shop"], component_of(pod));
        let meta = json!({"owner": "shop", "shop_uid": shop, "namespace": pod.namespace()});
        let registration = json!({
            "Node": node, "Address": "0.0.0.0", "NodeMeta": meta, "SkipNodeUpdate": false,
            "Service": {"ID": uid, "Service": name, "Address": address.to_string(), "Port": 1, "Meta": meta},
            "Check": {"Node": node, "CheckID": format!("service:{uid}"), "Name": "of the process", "ServiceID": uid, "Status": "passing"},
        });
        if self.tell("register", &registration).await {
            self.registered.insert(uid, node);
        }
    }

    async fn tell(&self, what: &str, body: &Value) -> bool {
        let sent = self.http.put(format!("{}/v1/catalog/{what}", self.consul)).json(body).send().await;
        sent.is_ok_and(|answer| answer.status().is_success())
    }
}

/// What a step says of the schema: each version but the first has a migration, after which the version before still serves
/// until `migrate contract`.
fn report(pod: &Pod) -> &'static str {
    let contracts = pod.labels().get("shop-operator.io/task").is_some_and(|task| task == "contract");
    match (version_of(pod).as_str(), contracts) {
        ("0.1.0", _) => r#"{"schema_version":1,"compatible_from":1}"#,
        (_, false) => r#"{"schema_version":2,"compatible_from":1}"#,
        (_, true) => r#"{"schema_version":2,"compatible_from":2}"#,
    }
}

/// Whether it is of a Job.
pub(crate) fn is_job(pod: &Pod) -> bool {
    pod.owner_references().iter().any(|owner| owner.kind == "Job")
}

/// The process that it is of.
pub(crate) fn component_of(pod: &Pod) -> String {
    pod.labels().get("app.kubernetes.io/name").cloned().unwrap_or_default()
}

/// The tag of its image.
pub(crate) fn version_of(pod: &Pod) -> String {
    let image = pod.spec.as_ref().and_then(|spec| spec.containers.first()?.image.clone()).unwrap_or_default();
    image.rsplit(':').next().unwrap_or_default().to_owned()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn variable(pod: &Pod, name: &str) -> Option<String> {
    let container = pod.spec.as_ref()?.containers.first()?;
    container.env.iter().flatten().find(|variable| variable.name == name)?.value.clone()
}

/// An address of nobody's: RFC 5737 has them for documentation.
fn next_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    Ipv4Addr::new(203, 0, 113, u8::try_from(number % 254 + 1).unwrap())
}

fn serving(pod: &Pod, address: Ipv4Addr) -> Value {
    // Ready for long enough to be available.
    let since = Timestamp::from_second(Timestamp::now().as_second() - 60).unwrap().to_string();
    let condition = |of: &str| json!({"type": of, "status": "True", "lastTransitionTime": since});
    let state = json!({"running": {"startedAt": since}});
    json!({
        "phase": "Running", "podIP": address.to_string(), "podIPs": [{"ip": address.to_string()}],
        "conditions": [condition("PodScheduled"), condition("Initialized"), condition("ContainersReady"), condition("Ready")],
        "initContainerStatuses": containers(pod, true, &terminated(0, report(pod)), 0),
        "containerStatuses": containers(pod, false, &state, 0),
    })
}

fn crashing(pod: &Pod, message: &str) -> Value {
    let condition = |of: &str, status: &str| json!({"type": of, "status": status, "lastTransitionTime": Timestamp::now().to_string()});
    let mut statuses = containers(
        pod,
        false,
        &json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}}),
        3,
    );
    for status in statuses.as_array_mut().unwrap() {
        status["ready"] = json!(false);
        status["lastState"] = terminated(1, message);
    }
    json!({
        "phase": "Running",
        "conditions": [condition("PodScheduled", "True"), condition("Initialized", "True"), condition("Ready", "False")],
        "initContainerStatuses": containers(pod, true, &terminated(0, report(pod)), 0),
        "containerStatuses": statuses,
    })
}

fn ended(pod: &Pod, code: i32, message: &str) -> Value {
    json!({
        "phase": if code == 0 { "Succeeded" } else { "Failed" },
        "conditions": [],
        "initContainerStatuses": containers(pod, true, &terminated(code, message), 0),
        "containerStatuses": containers(pod, false, &terminated(code, message), 0),
    })
}

fn terminated(code: i32, message: &str) -> Value {
    let now = Timestamp::now().to_string();
    let reason = if code == 0 { "Completed" } else { "Error" };
    json!({"terminated": {"exitCode": code, "reason": reason, "message": message, "startedAt": now, "finishedAt": now}})
}

fn containers(pod: &Pod, init: bool, state: &Value, restarts: i32) -> Value {
    let spec = pod.spec.as_ref().unwrap();
    let containers = if init { spec.init_containers.clone().unwrap_or_default() } else { spec.containers.clone() };
    containers
        .iter()
        .map(|container| {
            json!({
                "name": container.name, "image": container.image, "imageID": "", "ready": true, "started": true,
                "restartCount": restarts, "state": state,
            })
        })
        .collect()
}
