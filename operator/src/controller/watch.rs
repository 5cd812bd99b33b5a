//! Who hears of what: one watch for Shops and one for each kind of their children, of metadata alone. An event says only
//! that a Shop is worth a look; everything is read anew then.
//!
//! kube's own watcher tells nobody whether a watch is alive, and lists without a time; here each step has one, and each sign
//! of life is noted.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use kube::{
    Api,
    api::{ListParams, ObjectMeta, WatchEvent, WatchParams},
    core::PartialObjectMeta,
};
use parking_lot::Mutex;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use super::{Rhythm, queue::Key};
use crate::{
    build::names::SHOP_LABEL,
    cluster::{ApiError, CALL_LIMIT, Cluster, Kind, Object, within},
};

/// Waits between attempts.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_secs(30);
/// Objects in one page of a list.
const PAGE: u32 = 500;

/// What a watch has to say.
#[derive(Debug)]
pub(super) enum News {
    /// A Shop as it is.
    Shop(Key, Box<Object>),
    /// A Shop is gone.
    ShopGone(Key),
    /// Something of a Shop changed.
    Child(Key),
    /// Something may have been missed.
    Missed,
}

/// When each watch last showed a sign of life.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Mutex<BTreeMap<Kind, Instant>>>);

impl Pulse {
    fn beat(&self, kind: Kind) {
        self.0.lock().insert(kind, Instant::now());
    }

    /// The watches start now.
    pub(super) fn start(&self) {
        let now = Instant::now();
        let watched = Kind::CHILDREN.into_iter().chain([Kind::Shop]);
        *self.0.lock() = watched.map(|kind| (kind, now)).collect();
    }

    /// Nothing is watched any more.
    pub(super) fn stop(&self) {
        self.0.lock().clear();
    }

    /// The watch that has been silent for longest, and how long; `None` while nothing is watched.
    pub fn oldest(&self) -> Option<(Kind, Duration)> {
        let pulse = self.0.lock();
        pulse.iter().map(|(kind, beat)| (*kind, beat.elapsed())).max_by_key(|(_, age)| *age)
    }
}

/// Watches one kind for ever.
pub(super) async fn watch(
    cluster: &Cluster,
    kind: Kind,
    scope: Option<&str>,
    pulse: &Pulse,
    news: &mpsc::Sender<News>,
    rhythm: Rhythm,
) {
    let watch = Watch { api: api(cluster, kind, scope), kind, pulse, news, rhythm };
    let mut retry = FIRST_RETRY;
    loop {
        match watch.follow(&mut retry).await {
            // It is not asked over and over if that is all it says.
            Ok(()) => sleep(FIRST_RETRY.mul_f64(fastrand::f64())).await,
            Err(error) => {
                tracing::warn!(
                    watch.kind = kind.name(),
                    error = &error as &dyn std::error::Error,
                    retry_ms = u64::try_from(retry.as_millis()).unwrap_or(u64::MAX),
                    "A watch failed."
                );
                sleep(retry.mul_f64(0.8 + 0.4 * fastrand::f64())).await;
                retry = (retry * 2).min(MAX_RETRY);
            }
        }
    }
}

fn api(cluster: &Cluster, kind: Kind, scope: Option<&str>) -> Api<Object> {
    match scope {
        Some(namespace) => cluster.api(kind, namespace),
        None => Api::all_with(cluster.client().clone(), &kind.resource()),
    }
}

struct Watch<'a> {
    api: Api<Object>,
    kind: Kind,
    pulse: &'a Pulse,
    news: &'a mpsc::Sender<News>,
    rhythm: Rhythm,
}

impl Watch<'_> {
    /// Lists, and watches from there until the server has forgotten where that was, or it is time to list again.
    async fn follow(&self, retry: &mut Duration) -> Result<(), ApiError> {
        let mut version = self.list().await?;
        let listed = Instant::now();
        while self.kind != Kind::Shop || listed.elapsed() < self.rhythm.relist {
            let mut events = self.start(&version).await?;
            *retry = FIRST_RETRY;
            let started = Instant::now();
            loop {
                let Ok(event) = timeout(self.rhythm.silence(), events.next()).await else {
                    tracing::warn!(watch.kind = self.kind.name(), "A watch was silent for too long; it is made anew.");
                    break;
                };
                // The server ends each in its time.
                let Some(event) = event else { break };
                match event.map_err(|source| ApiError::Failed { call: self.call("watch"), source: Box::new(source) })? {
                    Seen::At(at) => version = at,
                    Seen::Lost => return Ok(()),
                }
                self.pulse.beat(self.kind);
            }
            if started.elapsed() < FIRST_RETRY {
                sleep(FIRST_RETRY).await;
            }
        }
        Ok(())
    }

    fn call(&self, verb: &str) -> String {
        format!("{verb} {}s", self.kind)
    }

    /// Where to watch from. All Shops are news; of what else there is one glance tells the version, and that something may
    /// have been missed.
    async fn list(&self) -> Result<String, ApiError> {
        let call = || self.call("list");
        let mut version = String::new();
        if self.kind == Kind::Shop {
            let mut params = ListParams::default().limit(PAGE);
            loop {
                let page = within(call, CALL_LIMIT, self.api.list(&params)).await?;
                self.pulse.beat(self.kind);
                for shop in page.items {
                    self.shop(shop, false).await;
                }
                version = page.metadata.resource_version.unwrap_or(version);
                match page.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => params = params.continue_token(&token),
                    None => break,
                }
            }
        } else {
            let params = ListParams::default().labels(SHOP_LABEL).limit(1);
            let page = within(call, CALL_LIMIT, self.api.list_metadata(&params)).await?;
            self.pulse.beat(self.kind);
            version = page.metadata.resource_version.unwrap_or(version);
        }
        self.tell(News::Missed).await;
        Ok(version)
    }

    async fn start(&self, version: &str) -> Result<BoxStream<'_, kube::Result<Seen>>, ApiError> {
        let call = || self.call("watch");
        let params = WatchParams::default().timeout(self.rhythm.watch_seconds);
        let events = if self.kind == Kind::Shop {
            let events = within(call, CALL_LIMIT, self.api.watch(&params, version)).await?;
            events.and_then(|event| async { Ok(self.shop_event(event).await) }).boxed()
        } else {
            let params = params.labels(SHOP_LABEL);
            let events = within(call, CALL_LIMIT, self.api.watch_metadata(&params, version)).await?;
            events.and_then(|event| async { Ok(self.child_event(event).await) }).boxed()
        };
        self.pulse.beat(self.kind);
        Ok(events)
    }

    async fn shop_event(&self, event: WatchEvent<Object>) -> Seen {
        match event {
            WatchEvent::Added(shop) | WatchEvent::Modified(shop) => self.shop(shop, false).await,
            WatchEvent::Deleted(shop) => self.shop(shop, true).await,
            WatchEvent::Bookmark(bookmark) => Seen::At(bookmark.metadata.resource_version),
            WatchEvent::Error(_) => Seen::Lost,
        }
    }

    async fn child_event(&self, event: WatchEvent<PartialObjectMeta<Object>>) -> Seen {
        match event {
            WatchEvent::Added(child) | WatchEvent::Modified(child) | WatchEvent::Deleted(child) => {
                if let Some(key) = owner(&child.metadata) {
                    self.tell(News::Child(key)).await;
                }
                Seen::of(&child.metadata)
            }
            WatchEvent::Bookmark(bookmark) => Seen::At(bookmark.metadata.resource_version),
            WatchEvent::Error(_) => Seen::Lost,
        }
    }

    async fn shop(&self, shop: Object, gone: bool) -> Seen {
        let seen = Seen::of(&shop.metadata);
        if let (Some(namespace), Some(name)) = (shop.metadata.namespace.clone(), shop.metadata.name.clone()) {
            let key = Key { namespace, name };
            self.tell(if gone { News::ShopGone(key) } else { News::Shop(key, Box::new(shop)) }).await;
        }
        seen
    }

    async fn tell(&self, news: News) {
        // Nobody listens only when the controller ends, which ends this too.
        let _ = self.news.send(news).await;
    }
}

enum Seen {
    /// The state that this is of.
    At(String),
    /// The server does not know any more where the watch was.
    Lost,
}

impl Seen {
    fn of(metadata: &ObjectMeta) -> Self {
        metadata.resource_version.clone().map_or(Self::Lost, Self::At)
    }
}

fn owner(metadata: &ObjectMeta) -> Option<Key> {
    let name = metadata.labels.as_ref()?.get(SHOP_LABEL)?.clone();
    Some(Key { namespace: metadata.namespace.clone()?, name })
}
