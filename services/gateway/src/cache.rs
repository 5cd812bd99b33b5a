//! Products as they were at most a second ago, and one call at a time for each.
//!
//! What a reader gets was asked for no earlier than a second before it came, and after the last change that went through
//! this gateway. So a change is seen within a second through any gateway, and at once through the one that made it, also
//! when its answer was lost. Prices bind when an order reserves, so that a page that is a second old misprices nothing.
//!
//! Stock and listings are not kept: stock changes without a new version, and listings have no end of forms.

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
use parking_lot::RwLock;
use shop_types::Uuid;
use tokio::time::Instant;

use crate::{
    extract::etag,
    problem::Problem,
    rest::{Product, SlugOrId},
};

/// The age at which a product is asked for again.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(1);
/// What is kept, in all.
const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// Of an entry, beside its text.
const OVERHEAD: usize = 256;
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

/// Why there is none.
#[derive(Debug)]
struct Failure {
    problem: Arc<Problem>,
    asked: Instant,
}

/// The products that were asked for in the last second.
pub(crate) struct Products {
    entries: moka::future::Cache<Key, Arc<Entry>>,
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
        let size = |_: &Key, entry: &Arc<Entry>| u32::try_from(entry.json.len() + OVERHEAD).unwrap_or(u32::MAX);
        let entries =
            moka::future::Cache::builder().max_capacity(MAX_BYTES).weigher(size).time_to_live(MAX_AGE).build();
        let changes = RwLock::new(Changes { latest: None, everything: None, of: HashMap::new() });
        let (found, asked) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        observe(&found, &asked);
        Self { entries, changes, found, asked }
    }

    /// The product, kept or asked for with `ask`: by one of all that want it now.
    pub(crate) async fn get<F>(&self, key: Key, ask: impl Fn() -> F) -> Result<Arc<Entry>, Arc<Problem>>
    where
        F: Future<Output = Result<Product, Problem>> + Send,
    {
        let now = Instant::now();
        // The clock's zero is long ago, or else everything is newer.
        let oldest = now.checked_sub(MAX_AGE).unwrap_or(now);
        if let Some(entry) = self.entries.get(&key).await
            && self.holds(&key, Some(entry.id), entry.asked, oldest)
        {
            self.found.fetch_add(1, Ordering::Relaxed);
            return Ok(entry);
        }
        for _ in 0..MAX_OVERTAKEN {
            match self.entries.try_get_with(key.clone(), self.ask(&ask)).await {
                Ok(entry) if self.holds(&key, Some(entry.id), entry.asked, oldest) => return Ok(entry),
                Ok(_) => self.entries.invalidate(&key).await,
                Err(failure) if self.holds(&key, None, failure.asked, oldest) => {
                    return Err(Arc::clone(&failure.problem));
                }
                Err(_) => {}
            }
        }
        self.ask(&ask).await.map_err(|failure| failure.problem)
    }

    async fn ask<F>(&self, ask: &impl Fn() -> F) -> Result<Arc<Entry>, Failure>
    where
        F: Future<Output = Result<Product, Problem>>,
    {
        let asked = Instant::now();
        self.asked.fetch_add(1, Ordering::Relaxed);
        let entry = ask().await.and_then(|product| {
            let json = serde_json::to_vec(&product).map_err(Problem::internal)?.into();
            Ok(Arc::new(Entry { json, tag: etag(product.version), id: product.id.0, asked }))
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
    use std::sync::atomic::AtomicUsize;

    use futures::future::join_all;
    use shop_proto::{product, types};
    use tokio::sync::Notify;

    use super::*;

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
}
