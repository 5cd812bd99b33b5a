//! Products as they were at most a second ago, and one call at a time for each.
//!
//! What a reader gets was asked for no earlier than a second before it came, and after the last change that went through
//! this gateway. So a change is seen within a second through any gateway, and at once through the one that made it, also
//! when its answer was lost. Prices bind when an order reserves, so that a page that is a second old misprices nothing.
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
        for _ in 0..MAX_OVERTAKEN {
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
            match outcome {
                Ok(entry) if self.holds(key, Some(entry.id), entry.asked, oldest) => return Ok(Arc::clone(entry)),
                Err(failure) if self.holds(key, None, failure.asked, oldest) => {
                    return Err(Arc::clone(&failure.problem));
                }
                Ok(_) | Err(_) => {}
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
        entry.map_err(|problem| Failure { problem: Arc::new(problem), asked })
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

    /// Something was just changed, or may have been: what was asked for before this moment is no longer good.
    pub(crate) fn changed(&self, keys: impl IntoIterator<Item = Key>) {
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
mod tests {
    use std::{pin::pin, sync::atomic::AtomicUsize};

    use futures::{future::join_all, poll};
    use shop_proto::{product, types};
    use tokio::sync::Notify;

    use super::{slots::MAX_BYTES, *};

    fn product(version: i64) -> Product {
        let at = || Some(prost_types::Timestamp::default());
        let price = Some(types::Money { amount: 1, currency: "USD".into() });
        let status = product::ProductStatus::Active.into();
        let id = "0198c9a5-7d3e-7c4e-9d0a-3f1f5f0a1b2c".into();
        let wire =
            product::Product { id, version, price, status, created_at: at(), updated_at: at(), ..Default::default() };
        wire.try_into().unwrap()
    }

    fn slug() -> Key {
        Key::Slug("mug".into())
    }

    fn slots(products: &Products) -> usize {
        products.slots.lock().by_key.len()
    }

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_who_miss_the_same_product_are_one_call() {
        let products = Products::new();
        let (calls, go_on) = (AtomicUsize::new(0), Notify::new());
        let ask = || async {
            calls.fetch_add(1, Ordering::SeqCst);
            go_on.notified().await;
            Ok(product(7))
        };
        // Each is polled once before any is polled again: all of them wait when the call is let go on.
        let all = join_all((0..10_000).map(|_| products.get(slug(), ask)));
        let (found, ()) = tokio::join!(all, async { go_on.notify_one() });
        assert!(found.iter().all(|entry| entry.as_ref().unwrap().tag == "\"7\""));
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_older_than_a_second_nor_than_a_change() {
        let products = Products::new();
        let version = AtomicUsize::new(0);
        let ask = || async { Ok(product(i64::try_from(version.fetch_add(1, Ordering::SeqCst)).unwrap() + 1)) };
        let read = async || products.get(slug(), ask).await.unwrap().tag.clone();
        assert_eq!((read().await, read().await), (etag(1), etag(1)));
        tokio::time::advance(MAX_AGE).await;
        assert_eq!(read().await, etag(1));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!((read().await, read().await), (etag(2), etag(2)));
        // A change of another product is none of this one's.
        products.changed([Key::Id(Uuid::nil())]);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(read().await, etag(2));
        products.changed([Key::Id(product(1).id.0)]);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!((read().await, read().await), (etag(3), etag(3)));
        products.changed([slug()]);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(read().await, etag(4));
    }

    #[tokio::test(start_paused = true)]
    async fn an_import_is_remembered_in_bounded_space() {
        let products = Products::new();
        let ask = || async { Ok(product(1)) };
        products.get(slug(), ask).await.unwrap();
        for number in 0..u128::try_from(MAX_CHANGES).unwrap() * 3 {
            products.changed([Key::Id(Uuid::from_u128(number))]);
        }
        assert!(products.changes.read().of.len() <= MAX_CHANGES);
        // What was asked for before so many changes is not believed, since some were forgotten.
        let oldest = Instant::now() - MAX_AGE;
        assert!(!products.holds(&slug(), None, Instant::now() - Duration::from_millis(1), oldest));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(products.holds(&slug(), None, Instant::now(), oldest));
    }

    #[tokio::test]
    async fn what_nobody_waits_for_leaves_nothing() {
        let products = Products::new();
        let never = || std::future::pending::<Result<Product, Problem>>();
        {
            let (mut first, mut second) = (pin!(products.get(slug(), never)), pin!(products.get(slug(), never)));
            assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
            assert_eq!((slots(&products), products.asked.load(Ordering::Relaxed)), (1, 1));
        }
        assert_eq!(slots(&products), 0);
        let fails = || async { Err(Problem::internal("no")) };
        products.get(slug(), fails).await.unwrap_err();
        assert_eq!(slots(&products), 0);
    }

    #[tokio::test]
    async fn one_who_waits_asks_in_place_of_one_who_went_away() {
        let products = Products::new();
        let calls = AtomicUsize::new(0);
        let ask = || async {
            if calls.fetch_add(1, Ordering::SeqCst) == 0 {
                std::future::pending::<()>().await;
            }
            Ok(product(7))
        };
        let mut first = Box::pin(products.get(slug(), ask));
        let mut second = pin!(products.get(slug(), ask));
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        drop(first);
        assert_eq!(second.await.unwrap().tag, etag(7));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_bounded_in_space_and_time() {
        let products = Products::new();
        let ask = || async { Ok(product(1)) };
        let read = async |number| products.get(Key::Id(Uuid::from_u128(number)), ask).await.unwrap();
        let most = MAX_BYTES / read(0).await.size();
        for number in 1..u128::try_from(most).unwrap() + 10 {
            read(number).await;
        }
        assert_eq!(slots(&products), most);
        assert!(products.slots.lock().bytes <= MAX_BYTES);
        tokio::time::advance(MAX_AGE + Duration::from_millis(1)).await;
        read(0).await;
        assert_eq!(slots(&products), 1);
        // What is old when it comes is good for those who waited for it.
        let late = || async {
            tokio::time::sleep(MAX_AGE * 2).await;
            Ok(product(2))
        };
        assert_eq!(products.get(slug(), late).await.unwrap().tag, etag(2));
        assert_eq!((slots(&products), products.slots.lock().bytes), (0, 0));
    }
}
