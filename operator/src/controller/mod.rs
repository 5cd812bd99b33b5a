//! Reads, writes, and repeats: the effects of the operator.
//!
//! # What the operator may do
//!
//! The chart's ClusterRole, and nothing more (`get` also serves reading by name what is not labelled):
//!
//! | group | resources | verbs | why |
//! |---|---|---|---|
//! | `shop-operator.io` | `shops` | get, list, watch, patch | its specs; the finalizer |
//! | `shop-operator.io` | `shops/status` | update, patch | what was found |
//! | (core) | `serviceaccounts`, `configmaps`, `services` | get, list, watch, create, patch, delete | children |
//! | (core) | `persistentvolumeclaims` | get, list, watch, create, patch | children that stay: never deleted |
//! | (core) | `secrets` | get, list, watch, create, patch | made once; those that specs name; never deleted |
//! | (core) | `pods` | list, watch | whose Consul entries are dead; why one does not start |
//! | `apps` | `deployments` | get, list, watch, create, patch, delete | children |
//! | `batch` | `jobs` | get, list, watch, create, patch, delete | migrations |
//! | `autoscaling` | `horizontalpodautoscalers` | get, list, watch, create, patch, delete | children |
//! | `policy` | `poddisruptionbudgets` | get, list, watch, create, patch, delete | children |
//! | `networking.k8s.io` | `networkpolicies`, `ingresses` | get, list, watch, create, patch, delete | children |
//! | `events.k8s.io` | `events` | create | events |
//!
//! And a Role in the operator's own namespace: `coordination.k8s.io` `leases`: get, create, update.

mod apply;
mod claims;
mod compare;
mod dereference;
mod finalize;
mod preview;
mod probe;
mod problem;
mod queue;
mod reconcile;
mod references;
mod rhythm;
mod update_status;
mod validate;
mod watch;
mod world;

use std::{
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, future::join_all, stream::FuturesUnordered};
use kube::{Client, api::ObjectMeta};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    cluster::{Cluster, Kind, Object},
    events::Events,
    metrics::Metrics,
    registry::Clients,
};

use claims::Claims;
use queue::{Key, Outcome, Queue};
use watch::{News, watch};

pub use preview::{Change, Preview, PreviewError, Shown, preview};
pub use rhythm::Rhythm;
pub use watch::Pulse;

/// What one reconciliation may take, whatever its calls may: the next one begins with what is so then.
const RECONCILE_LIMIT: Duration = Duration::from_mins(1);
/// News that wait to be heard; the watches wait when there are more.
const NEWS: usize = 256;
/// When nothing is due.
const IDLE: Duration = Duration::from_hours(1);

/// `host:port` of the gateway of a Shop, by namespace and name.
pub type GatewayAddress = Arc<dyn Fn(&str, &str) -> String + Send + Sync>;

/// What a controller is made of.
#[derive(Clone)]
pub struct ControllerOptions {
    /// The way to the API server.
    pub client: Client,
    /// Only Shops of this namespace; all if not given.
    pub namespace: Option<String>,
    /// This instance, in events.
    pub reporter: String,
    /// Where the gateway of a Shop is reached; its Service in the cluster if not given.
    pub gateway_address: Option<GatewayAddress>,
    /// How often things are looked at that nobody tells of.
    pub rhythm: Rhythm,
}

impl fmt::Debug for ControllerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControllerOptions")
            .field("namespace", &self.namespace)
            .field("reporter", &self.reporter)
            .field("rhythm", &self.rhythm)
            .finish_non_exhaustive()
    }
}

/// What every reconciliation needs.
struct Context {
    cluster: Cluster,
    consul: Clients,
    events: Events,
    metrics: Metrics,
    claims: Claims,
    gateway_address: GatewayAddress,
    rhythm: Rhythm,
}

/// Watches Shops and reconciles them.
pub struct Controller {
    context: Context,
    scope: Option<String>,
    pulse: Pulse,
}

impl fmt::Debug for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl Controller {
    /// A controller that does nothing yet.
    pub fn new(options: ControllerOptions, pulse: Pulse, metrics: Metrics) -> Self {
        let ControllerOptions { client, namespace, reporter, gateway_address, rhythm } = options;
        let cluster = Cluster::new(client);
        let service: GatewayAddress = Arc::new(|namespace, name| format!("{name}-gateway.{namespace}:80"));
        Self {
            context: Context {
                events: Events::new(cluster.clone(), reporter),
                cluster,
                consul: Clients::default(),
                metrics,
                claims: Claims::default(),
                gateway_address: gateway_address.unwrap_or(service),
                rhythm,
            },
            scope: namespace,
            pulse,
        }
    }

    /// Watches and reconciles for ever. All that it does is within this future: once it is dropped nothing more is written.
    pub async fn run(&self) {
        self.pulse.start();
        let _stop = StopPulse(&self.pulse);
        let (sender, mut news) = mpsc::channel(NEWS);
        let kinds = Kind::CHILDREN.into_iter().chain([Kind::Shop]);
        let watches = kinds.map(|kind| {
            watch(&self.context.cluster, kind, self.scope.as_deref(), &self.pulse, &sender, self.context.rhythm)
        });
        let mut watches = Box::pin(join_all(watches));
        let mut queue = Queue::default();
        let mut running = FuturesUnordered::new();
        loop {
            while let Some(key) = queue.take(Instant::now()) {
                running.push(self.one(key));
            }
            let due = queue.next().unwrap_or_else(|| Instant::now() + IDLE);
            tokio::select! {
                Some((key, outcome)) = running.next(), if !running.is_empty() => {
                    queue.finish(&key, outcome, Instant::now(), fastrand::f64());
                    if outcome == Outcome::Failed {
                        tracing::debug!(shop.key = %key, failures = queue.failures(&key), "A reconciliation will be tried again.");
                    }
                }
                Some(heard) = news.recv() => self.hear(heard, &mut queue),
                () = sleep_until(due) => {}
                // They never end.
                _ = &mut watches => {}
            }
        }
    }

    fn hear(&self, news: News, queue: &mut Queue) {
        let now = Instant::now();
        let others = match news {
            News::Shop(key, shop) => {
                let others = self.context.claims.note(&key, &shop);
                queue.show(key, reason_to_look(&shop), now);
                others
            }
            News::ShopGone(key) => {
                let others = self.context.claims.forget(&key);
                queue.wake(key, now);
                others
            }
            News::Child(key) => {
                queue.wake(key, now);
                return;
            }
            News::Missed => return queue.wake_all(now),
        };
        for key in others {
            queue.wake(key, now);
        }
    }

    /// One reconciliation, from which nothing gets out but its outcome.
    async fn one(&self, key: Key) -> (Key, Outcome) {
        let began = Instant::now();
        let run = AssertUnwindSafe(Box::pin(reconcile::reconcile(&self.context, &key))).catch_unwind();
        let (outcome, fault) = match timeout(RECONCILE_LIMIT, run).await {
            Ok(Ok(Ok(outcome))) => (outcome, None),
            Ok(Ok(Err(error))) if error.is_conflict() => {
                tracing::debug!(shop.key = %key, error = %error, "The Shop changed meanwhile.");
                (Outcome::Again(Duration::ZERO), Some(error.class()))
            }
            Ok(Ok(Err(error))) => {
                tracing::warn!(
                    shop.namespace = key.namespace,
                    shop.name = key.name,
                    error = &error as &dyn std::error::Error,
                    "A reconciliation failed."
                );
                (Outcome::Failed, Some(error.class()))
            }
            // What it said is in the log, as of every panic.
            Ok(Err(_panic)) => (Outcome::Failed, Some("panic")),
            Err(_elapsed) => {
                tracing::warn!(shop.namespace = key.namespace, shop.name = key.name, "A reconciliation took too long.");
                (Outcome::Failed, Some("timeout"))
            }
        };
        if let Some(kind) = fault {
            self.context.metrics.failed(kind);
        }
        self.context.metrics.reconciled(fault.is_none(), began.elapsed());
        (key, outcome)
    }
}

/// All of a Shop but its status, which the operator writes, and what the server notes down.
fn reason_to_look(shop: &Object) -> u64 {
    let ObjectMeta { uid, generation, deletion_timestamp, annotations, .. } = &shop.metadata;
    let mut hasher = DefaultHasher::new();
    (uid, generation, deletion_timestamp.is_some(), annotations).hash(&mut hasher);
    hasher.finish()
}

struct StopPulse<'a>(&'a Pulse);

impl Drop for StopPulse<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}
