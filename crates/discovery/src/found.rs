//! The instances of a service as Consul has them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::uri::Authority;
use opentelemetry::{KeyValue, global, metrics::Gauge};
use parking_lot::Mutex;
use serde_json::{Value, json};
use shop_consul::{Instances, ServiceInstance};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    link::{Link, News},
    names::{self, Names},
    resolver::{Address, Instance, Resolver, StaticResolver},
};

/// After a loss, instances that Consul does not know any more are kept for as long as they may need to be there again, and
/// half as long more: who is really gone is found out by the pool.
const RELEARN: Duration = Duration::from_secs(15);

/// Follows the instances of one service until the process has drained.
pub(crate) struct Found {
    shared: Arc<Shared>,
    fallback: Arc<[Instance]>,
}

struct Shared {
    service: &'static str,
    instances: watch::Sender<Arc<[Instance]>>,
    state: Mutex<State>,
    count: Gauge<u64>,
}

struct State {
    /// Whether any instance came from Consul.
    told: bool,
    since: Instant,
    relearning_until: Option<Instant>,
    /// Consul has none: told once.
    empty: bool,
}

impl Found {
    pub(crate) fn follow(
        service: &'static str,
        fallback: &[Address],
        names: &Names,
        link: &Arc<Link>,
        drained: CancellationToken,
    ) -> Self {
        let fallback = StaticResolver::new(fallback.iter().cloned()).watch().borrow().clone();
        let shared = Arc::new(Shared::new(service, Arc::clone(&fallback)));
        let which = Instances { service: names.service(service), filter: Some(names.filter()), passing: true };
        let following = {
            let (link, shared) = (Arc::clone(link), Arc::clone(&shared));
            async move {
                let question = format!("instances of {service}");
                link.follow(&question, |wait| link.client.instances(&which, Some(wait)), |news| shared.learn(news))
                    .await;
            }
        };
        tokio::spawn(drained.run_until_cancelled_owned(following));
        Self { shared, fallback }
    }

    pub(crate) fn service(&self) -> &'static str {
        self.shared.service
    }

    /// What operators see of where the instances come from.
    pub(crate) fn report(&self) -> Value {
        let state = self.shared.state.lock();
        let known: Vec<_> = self.shared.instances.borrow().iter().map(|instance| instance.id.clone()).collect();
        json!({
            "source": if state.told { "consul" } else { "addresses" },
            "unchanged_s": state.since.elapsed().as_secs(),
            "known": known,
        })
    }
}

impl Resolver for Found {
    fn watch(&self) -> watch::Receiver<Arc<[Instance]>> {
        self.shared.instances.subscribe()
    }

    fn fallback(&self) -> Arc<[Instance]> {
        Arc::clone(&self.fallback)
    }
}

impl Shared {
    fn new(service: &'static str, fallback: Arc<[Instance]>) -> Self {
        let count = global::meter("shop")
            .u64_gauge("shop.upstream.instances")
            .with_description("Instances of a service that are known, by where from: consul or addresses")
            .build();
        let state = State { told: false, since: Instant::now(), relearning_until: None, empty: false };
        let shared = Self { service, instances: watch::Sender::new(fallback), state: Mutex::new(state), count };
        shared.count();
        shared
    }

    fn learn(&self, News { value, after_a_loss }: News<Vec<ServiceInstance>>) {
        let now = Instant::now();
        let mut state = self.state.lock();
        if after_a_loss && state.told {
            state.relearning_until = Some(now + RELEARN);
        }
        let mut next = distinct(value);
        if next.is_empty() {
            // More likely Consul's trouble than the end of every instance; the pool finds out which are gone.
            if !std::mem::replace(&mut state.empty, true) {
                tracing::warn!(upstream.service = self.service, "Consul has no instance: what is known stays.");
            }
            return;
        }
        state.empty = false;
        if state.told && state.relearning_until.is_some_and(|until| now < until) {
            let present = self.instances.borrow().clone();
            let superseded =
                |old: &&Instance| next.iter().any(|new| new.id == old.id || new.authority == old.authority);
            let missing: Vec<_> = present.iter().filter(|old| !superseded(old)).cloned().collect();
            next.extend(missing);
        }
        next.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        state.told = true;
        let changed = self.instances.send_if_modified(|present| {
            let changed = **present != *next;
            if changed {
                *present = next.into();
            }
            changed
        });
        if changed {
            state.since = now;
            drop(state);
            self.count();
        }
    }

    fn count(&self) {
        let known = u64::try_from(self.instances.borrow().len()).unwrap_or(u64::MAX);
        let (source, other) = if self.state.lock().told { ("consul", "addresses") } else { ("addresses", "consul") };
        for (source, number) in [(source, known), (other, 0)] {
            self.count.record(number, &[KeyValue::new("upstream", self.service), KeyValue::new("source", source)]);
        }
    }
}

/// Each instance once, and each address once: of those that claim the same, the process that started last. Several servers
/// may each have a registration of one process, and a process may be gone whose address another one has.
fn distinct(found: Vec<ServiceInstance>) -> Vec<Instance> {
    let mut latest_first = found;
    latest_first.sort_by(|one, other| names::incarnation(other).cmp(&names::incarnation(one)));
    let mut chosen: Vec<Instance> = Vec::with_capacity(latest_first.len());
    for found in latest_first {
        let Some(authority) = authority(&found) else {
            tracing::debug!(instance.id = found.id, "An instance is registered with an address that can't be one.");
            continue;
        };
        if chosen.iter().all(|one| one.id != found.id && one.authority != authority) {
            let incarnation = names::incarnation(&found).map(str::to_owned);
            chosen.push(Instance { id: found.id, authority, incarnation });
        }
    }
    chosen
}

fn authority(found: &ServiceInstance) -> Option<Authority> {
    if found.port == 0 {
        return None;
    }
    let host = if found.address.contains(':') { format!("[{}]", found.address) } else { found.address.clone() };
    let text = format!("{host}:{}", found.port);
    text.parse::<Address>().ok().map(Address::into_authority)
}
