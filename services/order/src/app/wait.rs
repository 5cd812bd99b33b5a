//! Waiting, within a request's deadline, until an order's saga has come far enough.

use std::time::Duration;

use shop_server::deadline;
use shop_types::Uuid;
use tokio::time::{Instant, sleep_until};

use super::{Error, Orders};
use crate::{
    domain::{Status, Step},
    store::{orders, sagas},
};

/// Left of the deadline for the answer itself.
const MARGIN: Duration = Duration::from_millis(250);
/// The bound of a request that came without a deadline.
const DEFAULT_BOUND: Duration = Duration::from_secs(5);
/// How often the database is looked at for what other processes do, with up to half a second more by chance. What this
/// process does is announced, so this is rarely needed, and hundreds may wait at once.
const POLL: Duration = Duration::from_secs(2);
const POLL_SPREAD_MS: u64 = 500;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The order is no longer pending.
    Settled,
    /// No Commit is outstanding.
    Committed,
}

impl Orders {
    /// Waits; false when the request's time is over first.
    pub(super) async fn wait(&self, order_id: Uuid, awaited: Awaited) -> Result<bool, Error> {
        let bound = deadline::current().map_or(DEFAULT_BOUND, deadline::Deadline::remaining).saturating_sub(MARGIN);
        let end = Instant::now() + bound;
        let subscription = self.bulletin.subscribe(order_id);
        loop {
            let mut changed = std::pin::pin!(subscription.changed().notified());
            // Before the look, so that a change right after it is not missed.
            changed.as_mut().enable();
            if self.has_come(order_id, awaited).await? {
                return Ok(true);
            }
            let now = Instant::now();
            if now >= end {
                return Ok(false);
            }
            tokio::select! {
                () = changed => {}
                () = sleep_until(end.min(now + POLL + spread(Uuid::new_v4()))) => {}
            }
        }
    }

    async fn has_come(&self, order_id: Uuid, awaited: Awaited) -> Result<bool, Error> {
        let reader = self.parts.database.reader();
        Ok(match awaited {
            Awaited::Settled => orders::status(reader, order_id).await?.ok_or(Error::UnknownOrder)? != Status::Pending,
            Awaited::Committed => {
                sagas::find(reader, order_id).await?.is_none_or(|saga| saga.step != Some(Step::Commit))
            }
        })
    }
}

/// So that those who began to wait together don't look together.
fn spread(chance: Uuid) -> Duration {
    Duration::from_millis(chance.as_u64_pair().1 % POLL_SPREAD_MS)
}
