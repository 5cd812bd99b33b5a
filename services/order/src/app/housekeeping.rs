//! What is forgotten by age, and the ages that an operator watches.

use std::time::Duration;

use shop_storage::clock;
use shop_types::Instant;
use tokio::sync::Notify;

use super::{Error, Orders, worker};
use crate::{
    failpoint::Commit,
    store::{keys, outbox, sagas},
};

/// How often the ages are looked at.
const PERIOD: Duration = Duration::from_secs(5);
/// Rows dropped in one transaction, so that it holds up no other.
const SWEEP: u64 = 200;
/// How long events are kept: sent ones to look at, and those that nobody is to be told (yet) for a sink that comes later.
pub(crate) const EVENTS_KEPT: Duration = Duration::from_hours(7 * 24);

impl Orders {
    /// `relayed` says whether somebody is told of events. If so, unsent ones are kept until they are sent.
    pub(super) async fn keep_house(self, relayed: bool) {
        let stop = self.parts.shutdown.token();
        let never = Notify::new();
        worker::turn("housekeeping", stop, &never, || self.sweep(relayed)).await;
    }

    async fn sweep(&self, relayed: bool) -> Result<Duration, Error> {
        // First, so that they are told also while nothing can be written.
        self.look_at_ages(relayed).await?;
        let reader = self.parts.database.reader();
        let keys = keys::forgotten(reader, SWEEP).await?;
        let mut events = outbox::old(reader, EVENTS_KEPT, false, SWEEP).await?;
        if !relayed {
            events.extend(outbox::old(reader, EVENTS_KEPT, true, SWEEP).await?);
        }
        let found = keys.len().max(events.len());
        if found > 0 {
            self.commit(Commit::Sweep, move |transaction| {
                let (keys, events) = (keys.clone(), events.clone());
                Box::pin(async move {
                    keys::drop_keys(transaction, &keys).await?;
                    Ok(outbox::drop_events(transaction, &events).await?)
                })
            })
            .await?;
        }
        Ok(if found as u64 >= SWEEP { Duration::ZERO } else { PERIOD })
    }

    async fn look_at_ages(&self, relayed: bool) -> Result<(), Error> {
        let reader = self.parts.database.reader();
        let now = clock::read(reader).await?;
        let age = |since: Option<Instant>| since.map_or(Duration::ZERO, |since| now.since(since));
        let unsettled = age(sagas::oldest(reader).await?);
        let outbox = if relayed { age(outbox::oldest_unsent(reader).await?) } else { Duration::ZERO };
        self.metrics.ages(unsettled, outbox);
        Ok(())
    }
}
