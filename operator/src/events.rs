//! Events of Shops. An error that stays as it is gives one event, a changed one another, and the same one after a recovery
//! again one: so that what `kubectl describe` shows is what is.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, Resource as _, api::PostParams};
use parking_lot::Mutex;

use crate::{
    cluster::{Cluster, FIELD_MANAGER, within},
    names,
    shop::Shop,
};

/// What writing one may take; nobody waits for it.
const LIMIT: Duration = Duration::from_secs(2);
/// The longest note that the API server takes.
const MAX_NOTE: usize = 1024;

/// Writes events.
#[derive(Debug)]
pub struct Events {
    cluster: Cluster,
    reporter: String,
    told: Mutex<HashMap<String, BTreeMap<String, String>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    Normal,
    Warning,
}

impl Events {
    /// Events reported by this instance of the operator.
    pub fn new(cluster: Cluster, reporter: String) -> Self {
        Self { cluster, reporter, told: Mutex::default() }
    }

    /// Something happened.
    pub async fn tell(&self, shop: &Shop, reason: &str, note: String) {
        self.write(shop, Severity::Normal, reason, &note).await;
    }

    /// Something happened that somebody should look at.
    pub async fn warn(&self, shop: &Shop, reason: &str, note: String) {
        self.write(shop, Severity::Warning, reason, &note).await;
    }

    /// All that is wrong with a Shop now, by reason: what is new or has another text gives an event.
    pub async fn faults(&self, shop: &Shop, faults: BTreeMap<String, String>) {
        let key = names::key_of(shop);
        let before = self.told.lock().get(&key).cloned().unwrap_or_default();
        let mut told = BTreeMap::new();
        for (reason, note) in faults {
            if before.get(&reason) == Some(&note) || self.write(shop, Severity::Warning, &reason, &note).await {
                told.insert(reason, note);
            }
        }
        let mut all = self.told.lock();
        if told.is_empty() {
            all.remove(&key);
        } else {
            all.insert(key, told);
        }
    }

    /// A Shop is gone.
    pub fn forget(&self, key: &str) {
        self.told.lock().remove(key);
    }

    /// Whether it was written.
    async fn write(&self, shop: &Shop, severity: Severity, reason: &str, note: &str) -> bool {
        let (namespace, name) = (names::namespace_of(shop), names::name_of(shop));
        let event = self.event(shop, severity, reason, note);
        let api: Api<Event> = Api::namespaced(self.cluster.client().clone(), namespace);
        let call = || format!("create an event of {namespace}/{name}");
        let written = within(call, LIMIT, api.create(&PostParams::default(), &event)).await;
        match severity {
            Severity::Normal => tracing::info!(
                shop.namespace = namespace,
                shop.name = name,
                event.reason = reason,
                event.note = note,
                "An event."
            ),
            Severity::Warning => tracing::warn!(
                shop.namespace = namespace,
                shop.name = name,
                event.reason = reason,
                event.note = note,
                "An event."
            ),
        }
        written
            .inspect_err(|error| {
                tracing::debug!(error = error as &dyn std::error::Error, "An event could not be written.");
            })
            .is_ok()
    }

    fn event(&self, shop: &Shop, severity: Severity, reason: &str, note: &str) -> Event {
        let now = Timestamp::now();
        Event {
            metadata: ObjectMeta {
                namespace: shop.metadata.namespace.clone(),
                name: Some(format!("{}.{:x}", names::name_of(shop), now.as_nanosecond())),
                ..ObjectMeta::default()
            },
            regarding: Some(ObjectReference {
                api_version: Some(Shop::api_version(&()).into_owned()),
                kind: Some(Shop::kind(&()).into_owned()),
                namespace: shop.metadata.namespace.clone(),
                name: shop.metadata.name.clone(),
                uid: shop.metadata.uid.clone(),
                ..ObjectReference::default()
            }),
            event_time: Some(MicroTime(now)),
            type_: Some(if severity == Severity::Normal { "Normal" } else { "Warning" }.to_owned()),
            reason: Some(reason.to_owned()),
            action: Some("Reconcile".to_owned()),
            note: Some(cut(note)),
            reporting_controller: Some(FIELD_MANAGER.to_owned()),
            reporting_instance: Some(self.reporter.clone()),
            ..Event::default()
        }
    }
}

fn cut(note: &str) -> String {
    let mut end = note.len().min(MAX_NOTE);
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    note[..end].to_owned()
}
