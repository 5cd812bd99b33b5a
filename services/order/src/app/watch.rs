//! Watching an order: its history after a version, and from then on each change as it happens.
//!
//! What this process changes is announced on the [`Bulletin`](super::bulletin::Bulletin). What other replicas change is
//! found by one look for all orders that are watched here, so that it costs the same however many watch.

use std::{future::Future, sync::Arc, time::Duration};

use shop_types::Uuid;
use tokio::{
    sync::{Notify, mpsc},
    time::{sleep, timeout},
};

use super::{Error, Orders, bulletin::Subscription, worker};
use crate::{
    domain::{HistoryEntry, Invalid, Viewer},
    store::{listing, orders},
};

/// Orders watched at once, each by a stream of its own. A stream at rest costs a few KiB and a message every few seconds.
pub(super) const MAX_WATCHES: usize = 1_024;
/// Streams that read at once: a change of an order that hundreds watch wakes them all, and must leave connections to the
/// requests.
pub(super) const MAX_LOOKS: usize = 2;
/// How often it is looked for what other replicas changed.
const POLL: Duration = Duration::from_millis(500);
/// How often a stream says that it lives when there is nothing else to say. The contract gives it ten seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// How long a stream lasts at most, less up to a quarter by chance: as long as an access token, so that whoever lost the
/// right to watch does not for long, and a reader that takes nothing does not keep its place.
const LONGEST: Duration = Duration::from_mins(5);
/// Entries read at once; an order has few.
const PAGE: u64 = 100;
/// Messages a slow reader may have waiting; beyond them the stream waits for it.
const BUFFER: usize = 4;

/// What a stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sighting {
    Changed(HistoryEntry),
    /// Nothing happened; the stream lives.
    Quiet,
    /// No change is expected any more: the last message.
    Finished,
}

/// Where the messages of a stream come out.
pub(crate) type Sightings = mpsc::Receiver<Result<Sighting, Error>>;

impl Orders {
    /// Watches an order of the viewer's, or any for staff.
    pub(crate) async fn watch(&self, viewer: Viewer, id: Uuid, after: i64) -> Result<Sightings, Error> {
        if after < 0 {
            return Err(Invalid::field("after_version", "must be 0 or more").into());
        }
        let place =
            Arc::clone(&self.watch_permits).try_acquire_owned().map_err(|_| Error::Overloaded("orders are watched"))?;
        // Before the first look, so that a change right after it is not missed.
        let subscription = self.bulletin.watch(id);
        orders::standing(self.parts.database.reader(), id, viewer.owner()).await?.ok_or(Error::UnknownOrder)?;
        let (sender, receiver) = mpsc::channel(BUFFER);
        let orders = self.clone();
        // Not bound to the shutdown: the server ends streams when it drains, and a stream ends with its reader.
        self.parts.shutdown.spawn("watching an order", async move {
            let _counted = orders.metrics.watching();
            if let Ok(Err(error)) = timeout(longest(Uuid::new_v4()), orders.tell(&sender, &subscription, after)).await {
                // A reader that does not take it has gone, or finds the stream ended.
                let _ = sender.try_send(Err(error));
            }
            drop(place);
        });
        Ok(receiver)
    }

    /// Tells a reader of an order's changes until it goes, or there are none to come.
    async fn tell(
        &self,
        reader: &mpsc::Sender<Result<Sighting, Error>>,
        subscription: &Subscription,
        mut seen: i64,
    ) -> Result<(), Error> {
        let (database, id) = (self.parts.database.reader(), subscription.order_id());
        loop {
            let mut changed = std::pin::pin!(subscription.changed().notified());
            changed.as_mut().enable();
            let place = self.watch_looks.acquire().await.map_err(|_| Error::Leaving)?;
            // Before the history, which then has all up to this version, and maybe later ones.
            let standing = orders::standing(database, id, None).await?.ok_or(Error::UnknownOrder)?;
            let entries = listing::history(database, id, seen, PAGE).await?;
            drop(place);
            let changed_since = entries.last().is_some_and(|newest| newest.version > standing.version);
            let look_again = changed_since || u64::try_from(entries.len()).is_ok_and(|found| found >= PAGE);
            for entry in entries {
                seen = entry.version;
                if reader.send(Ok(Sighting::Changed(entry))).await.is_err() {
                    return Ok(());
                }
            }
            if standing.is_over && !look_again {
                // The last word, whether or not somebody takes it.
                let _ = reader.send(Ok(Sighting::Finished)).await;
                return Ok(());
            }
            if !look_again && !keep_alive_until(changed, reader).await {
                return Ok(());
            }
        }
    }

    /// Announces what other processes changed of the orders that are watched here.
    pub(super) async fn look_out(self) {
        let stop = self.parts.shutdown.token();
        let never = Notify::new();
        worker::turn("watch", stop, &never, || self.look()).await;
    }

    async fn look(&self) -> Result<Duration, Error> {
        let watched = self.bulletin.watched();
        if !watched.is_empty() {
            for (id, version) in orders::versions(self.parts.database.reader(), watched).await? {
                self.bulletin.saw(id, version);
            }
        }
        Ok(POLL)
    }
}

/// Says now and then that the stream lives, until there is something new; false when the reader has gone.
async fn keep_alive_until(changed: impl Future<Output = ()>, reader: &mpsc::Sender<Result<Sighting, Error>>) -> bool {
    let mut changed = std::pin::pin!(changed);
    loop {
        tokio::select! {
            () = changed.as_mut() => return true,
            () = reader.closed() => return false,
            () = sleep(KEEP_ALIVE) => {
                if reader.send(Ok(Sighting::Quiet)).await.is_err() {
                    return false;
                }
            }
        }
    }
}

fn longest(chance: Uuid) -> Duration {
    let quarter = u64::try_from(LONGEST.as_millis() / 4).unwrap_or(u64::MAX).max(1);
    LONGEST.saturating_sub(Duration::from_millis(chance.as_u64_pair().1 % quarter))
}
