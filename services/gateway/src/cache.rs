//! Products as they were at most a second ago, and one call at a time for each.
//!
//! What a reader gets was asked for no earlier than a second before it came, and after the last change that went through
//! this gateway. So a change is seen within a second through any gateway, and at once through the one that made it. One whose
//! answer was lost may still be on its way, and is seen within a second of being made. Prices bind when an order reserves, so that a page that is a second old misprices nothing.
//!
//! Stock and listings are not kept: stock changes without a new version, and listings have no end of forms.

mod slots;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::HeaderValue;
use opentelemetry::{KeyValue, global};
use parking_lot::{Mutex, RwLock};
use shop_proto::status::Reason;
use shop_server::deadline::{self, Deadline};
use shop_types::Uuid;
use tokio::time::Instant;

use crate::{
    extract::etag,
    problem::Problem,
    rest::{Product, SlugOrId},
};
use slots::{Outcome, Slot, Slots, Waiting};

/// The age at which a product is asked for again.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(1);
/// Of an entry, beside its text.
const OVERHEAD: usize = 512;
/// What most products' JSON fits.
const USUAL_JSON_BYTES: usize = 1024;
/// Changes that are remembered one by one: more in so short a time are an import, and then nothing kept before it counts.
const MAX_CHANGES: usize = 4096;
/// How long a change can matter: the longest request, and a second.
const CHANGE_MATTERS: Duration = Duration::from_mins(1);
/// Calls of others that are waited for in vain, each overtaken by a change, before one's own is made.
const MAX_OVERTAKEN: usize = 2;
/// How much more time somebody may have than the one who ran out of it while asking for both. Those who have more ask again:
/// a service that hangs is asked by one in so long.
const SAME_TIME: Duration = MAX_AGE;

/// What a product is asked for by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Id(Uuid),
    Slug(Box<str>),
}

impl From<&SlugOrId> for Key {
    fn from(key: &SlugOrId) -> Self {
        match key {
            SlugOrId::Id(id) => Self::Id(id.0),
            SlugOrId::Slug(slug) => Self::Slug(slug.as_str().into()),
        }
    }
}

/// A product as it is sent.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) json: Bytes,
    pub(crate) tag: HeaderValue,
    id: Uuid,
    /// When it was asked for: what it says was so then, or later.
    asked: Instant,
}

impl Entry {
    fn size(&self) -> usize {
        self.json.len() + OVERHEAD
    }
}

/// Why there is none.
#[derive(Debug)]
struct Failure {
    problem: Arc<Problem>,
    asked: Instant,
    /// The deadline of the request that asked, if that is why.
    ran_out: Option<Deadline>,
}

impl Failure {
    /// Whether a request with this deadline has time left to be answered better.
    fn is_early_for(&self, deadline: Option<Deadline>) -> bool {
        let early = |ran_out: Deadline, own: Deadline| own.moment() > ran_out.moment() + SAME_TIME;
        self.ran_out.zip(deadline).is_some_and(|(ran_out, own)| early(ran_out, own))
    }
}

/// The products that were asked for in the last second.
pub(crate) struct Products {
    slots: Mutex<Slots>,
    changes: RwLock<Changes>,
    found: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Changes {
    /// The last change of anything.
    latest: Option<Instant>,
    /// Before this, anything may have changed.
    everything: Option<Instant>,
    of: HashMap<Key, Instant>,
}

impl Products {
    pub(crate) fn new() -> Self {
        let changes = RwLock::new(Changes { latest: None, everything: None, of: HashMap::new() });
        let (found, asked) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        observe(&found, &asked);
        Self { slots: Mutex::default(), changes, found, asked }
    }

    /// The product, kept or asked for with `ask`: by one of all that want it now.
    pub(crate) async fn get<F>(&self, key: Key, ask: impl Fn() -> F) -> Result<Arc<Entry>, Arc<Problem>>
    where
        F: Future<Output = Result<Product, Problem>>,
    {
        let now = Instant::now();
        // The clock's zero is long ago, or else everything is newer.
        let oldest = now.checked_sub(MAX_AGE).unwrap_or(now);
        if let Some(entry) = self.kept(&key).filter(|entry| self.holds(&key, Some(entry.id), entry.asked, oldest)) {
            self.found.fetch_add(1, Ordering::Relaxed);
            return Ok(entry);
        }
        // Boxed, since what asks is large: otherwise those that find what they want would make room for it, too.
        Box::pin(self.missed(&key, oldest, ask)).await
    }

    fn kept(&self, key: &Key) -> Option<Arc<Entry>> {
        let slots = self.slots.lock();
        slots.by_key.get(key)?.get()?.as_ref().ok().cloned()
    }

    async fn missed<F>(&self, key: &Key, oldest: Instant, ask: impl Fn() -> F) -> Result<Arc<Entry>, Arc<Problem>>
    where
        F: Future<Output = Result<Product, Problem>>,
    {
        let mut overtaken = 0;
        while overtaken < MAX_OVERTAKEN {
            let waiting = self.wait(key, oldest);
            let mut asked = false;
            let ask_for_all = || {
                asked = true;
                self.ask(&ask)
            };
            let outcome = waiting.slot.get_or_init(ask_for_all).await;
            if asked && let Ok(entry) = outcome {
                self.slots.lock().keep(key.clone(), Arc::clone(entry));
            }
            // What one asked for oneself was asked for after one came.
            match outcome {
                Ok(entry) if asked || self.holds(key, Some(entry.id), entry.asked, oldest) => {
                    return Ok(Arc::clone(entry));
                }
                Err(failure) if !asked && failure.is_early_for(deadline::current()) => {}
                Err(failure) if asked || self.holds(key, None, failure.asked, oldest) => {
                    return Err(Arc::clone(&failure.problem));
                }
                Ok(_) | Err(_) => overtaken += 1,
            }
        }
        self.ask(&ask).await.map_err(|failure| failure.problem)
    }

    /// A place at the product's slot; at a new one where what the slot has is of no use to who comes now.
    fn wait<'a>(&'a self, key: &'a Key, oldest: Instant) -> Waiting<'a> {
        let mut slots = self.slots.lock();
        let slot = slots.by_key.entry(key.clone()).or_default();
        let is_good = match slot.get() {
            None => true,
            Some(Ok(entry)) => self.holds(key, Some(entry.id), entry.asked, oldest),
            Some(Err(_)) => false,
        };
        if !is_good {
            *slot = Slot::default();
        }
        Waiting { slots: &self.slots, key, slot: Arc::clone(slot) }
    }

    async fn ask<F>(&self, ask: &impl Fn() -> F) -> Outcome
    where
        F: Future<Output = Result<Product, Problem>>,
    {
        let asked = Instant::now();
        self.asked.fetch_add(1, Ordering::Relaxed);
        let entry = ask().await.and_then(|product| {
            let mut json = Vec::with_capacity(USUAL_JSON_BYTES);
            serde_json::to_writer(&mut json, &product).map_err(Problem::internal)?;
            Ok(Arc::new(Entry { json: json.into(), tag: etag(product.version), id: product.id.0, asked }))
        });
        entry.map_err(|problem| {
            let ran_out = deadline::current().filter(|_| problem.reason() == Reason::DeadlineExceeded);
            Failure { problem: Arc::new(problem), asked, ran_out }
        })
    }

    /// Whether what was asked for then is good for a reader that wants nothing older than `oldest`.
    fn holds(&self, key: &Key, id: Option<Uuid>, asked: Instant, oldest: Instant) -> bool {
        if asked < oldest {
            return false;
        }
        let changes = self.changes.read();
        let after = |change: Option<&Instant>| change.is_none_or(|change| asked > *change);
        after(changes.latest.as_ref())
            || after(changes.everything.as_ref())
                && after(changes.of.get(key))
                && id.is_none_or(|id| after(changes.of.get(&Key::Id(id))))
    }

    /// Notes a change when what is given is dropped, whatever came of it: also when nobody waits for it any more.
    pub(crate) fn changing(&self, keys: impl IntoIterator<Item = Key>) -> Changing<'_> {
        Changing { products: self, keys: keys.into_iter().collect() }
    }

    /// Something was just changed, or may have been: what was asked for before this moment is no longer good.
    fn changed(&self, keys: impl IntoIterator<Item = Key>) {
        let mut changes = self.changes.write();
        let now = Instant::now();
        changes.latest = Some(now);
        if changes.of.len() >= MAX_CHANGES {
            changes.of.retain(|_, change| change.elapsed() < CHANGE_MATTERS);
        }
        if changes.of.len() >= MAX_CHANGES {
            changes.everything = Some(now);
            changes.of.clear();
        }
        changes.of.extend(keys.into_iter().map(|key| (key, now)));
    }
}

/// A change that is under way.
pub(crate) struct Changing<'a> {
    products: &'a Products,
    keys: Vec<Key>,
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.products.changed(self.keys.drain(..));
    }
}

fn observe(found: &Arc<AtomicU64>, asked: &Arc<AtomicU64>) {
    let readings = [("kept", Arc::clone(found)), ("asked", Arc::clone(asked))];
    global::meter("shop")
        .u64_observable_counter("shop.gateway.product_reads")
        .with_description("Products that were kept, and calls for those that were not")
        .with_callback(move |observer| {
            for (from, reading) in &readings {
                observer.observe(reading.load(Ordering::Relaxed), &[KeyValue::new("from", *from)]);
            }
        })
        .build();
}

#[cfg(test)]
mod tests;
