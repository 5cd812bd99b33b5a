//! The clock of orders that are not paid in time. Order alone decides that they expire.

use std::time::Duration;

use futures::future;
use shop_storage::clock;
use shop_types::Uuid;

use super::{Error, Orders, saga, worker};
use crate::{
    domain::{Actor, Change, Event, Order, Reason, beginning_of},
    failpoint::Commit,
    store::{
        orders,
        revise::{self, Guard, NotRevised, Revision},
        sagas::{self, Lease},
    },
};

/// Orders that expire at once: as many as one group of commits takes.
const BATCH: usize = 64;

impl Orders {
    pub(super) async fn expire(self) {
        let stop = self.parts.shutdown.token();
        worker::turn("expiry", stop, &self.wake.expiry, || self.expire_overdue()).await;
    }

    async fn expire_overdue(&self) -> Result<Duration, Error> {
        let reader = self.parts.database.reader();
        let overdue = orders::overdue(reader, BATCH as u64).await?;
        let count = overdue.len();
        worker::pass_on(future::join_all(overdue.into_iter().map(|id| self.expire_one(id))).await, |expired| {
            let Some((order, lease)) = expired else { return };
            self.bulletin.announce(order.id);
            self.metrics.moved(&order);
            self.wake.relay.notify_one();
            self.spawn_saga(lease, Some(saga::Known::from(&order)));
        })?;
        if count == BATCH {
            return Ok(Duration::ZERO);
        }
        let now = clock::read(reader).await?;
        Ok(worker::pause_until(orders::next_expiry(reader).await?, now))
    }

    /// Expires an order and begins to release its stock, unless a payment or a cancel was faster.
    async fn expire_one(&self, id: Uuid) -> Result<Option<(Order, Lease)>, Error> {
        let holder = self.parts.holder;
        self.commit(Commit::Expire, move |transaction| {
            Box::pin(async move {
                let order = orders::find_and_lock_unless_locked(transaction, id).await?;
                // Somebody pays for it or cancels it; if not, the next look finds it.
                let Some(order) = order else { return Ok(None) };
                let from = order.status;
                let now = clock::read(transaction).await?;
                let revision = Revision {
                    change: Change::Moved(Event::Expire),
                    actor: Actor::Order,
                    reason: Some(Reason::PaymentOverdue),
                    note: None,
                    at: now,
                };
                let late = Order { reason: Some(Reason::PaymentOverdue), ..order };
                let expired = match revise::revise(transaction, late, &revision, Guard::Overdue).await {
                    Ok(expired) => expired,
                    Err(NotRevised::WrongState(_) | NotRevised::Guarded) => return Ok(None),
                    Err(error) => return Err(error.into()),
                };
                let step = beginning_of(from, Event::Expire).ok_or(Error::Missing("step of an expiry"))?;
                let lease = sagas::begin(transaction, id, step, holder).await?.ok_or(Error::Raced)?;
                Ok(Some((expired, lease)))
            })
        })
        .await
    }
}
