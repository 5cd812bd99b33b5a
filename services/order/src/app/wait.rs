//! Waiting, within a request's deadline, until an order's saga has come far enough.

use std::{mem, pin::Pin, time::Duration};

use shop_server::deadline;
use shop_types::Uuid;
use tokio::{
    sync::futures::Notified,
    time::{Instant, sleep_until},
};

use super::{Error, Orders, bulletin::Subscription};
use crate::{
    domain::{Order, Status, Step},
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

impl Orders {
    /// Waits until an order is no longer pending; `None` when the request's time is over first. Who placed it `just_now`,
    /// with a subscription from before, takes this process's word for it.
    pub(super) async fn wait_until_settled(
        &self,
        subscription: &Subscription,
        just_now: bool,
    ) -> Result<Option<Order>, Error> {
        let (reader, id, end) = (self.parts.database.reader(), subscription.order_id(), end());
        // What was just written is pending.
        let mut is_new = just_now;
        loop {
            let mut changed = std::pin::pin!(subscription.changed().notified());
            // Before the look, so that a change right after it is not missed.
            changed.as_mut().enable();
            if just_now && let Some(order) = subscription.settled() {
                return Ok(Some(Order::clone(&order)));
            }
            if !mem::take(&mut is_new) {
                let status = orders::status(reader, id).await?.ok_or(Error::UnknownOrder)?;
                if status != Status::Pending {
                    return Ok(orders::find(reader, id, None).await?);
                }
            }
            if !changes_before(end, changed).await {
                return Ok(None);
            }
        }
    }

    /// Waits until no Commit of an order is outstanding; false when the request's time is over first.
    pub(super) async fn wait_until_committed(&self, order_id: Uuid) -> Result<bool, Error> {
        let (subscription, end) = (self.bulletin.subscribe(order_id), end());
        loop {
            let mut changed = std::pin::pin!(subscription.changed().notified());
            changed.as_mut().enable();
            let saga = sagas::find(self.parts.database.reader(), order_id).await?;
            if saga.is_none_or(|saga| saga.step != Some(Step::Commit)) {
                return Ok(true);
            }
            if !changes_before(end, changed).await {
                return Ok(false);
            }
        }
    }
}

/// When a wait is over, whatever comes.
fn end() -> Instant {
    let bound = deadline::current().map_or(DEFAULT_BOUND, deadline::Deadline::remaining).saturating_sub(MARGIN);
    Instant::now() + bound
}

/// Waits until it is worth looking again; false when the time is over.
async fn changes_before(end: Instant, changed: Pin<&mut Notified<'_>>) -> bool {
    let now = Instant::now();
    if now >= end {
        return false;
    }
    tokio::select! {
        () = changed => {}
        () = sleep_until(end.min(now + POLL + spread(Uuid::new_v4()))) => {}
    }
    true
}

/// So that those who began to wait together don't look together.
fn spread(chance: Uuid) -> Duration {
    Duration::from_millis(chance.as_u64_pair().1 % POLL_SPREAD_MS)
}
