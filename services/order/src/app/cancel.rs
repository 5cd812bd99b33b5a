//! Calling an order off.
//!
//! A pending order is the saga's: it gets a flag that the saga reads before each step and again with each outcome. A
//! reserved or paid one is cancelled here, and what it held goes back by a step of its saga.

use sea_orm::DatabaseTransaction;
use shop_storage::clock;
use shop_types::Uuid;

use super::{Error, Orders, saga};
use crate::{
    domain::{Change, Event, Order, Status, Step, Viewer, beginning_of},
    failpoint::Commit,
    store::{
        orders,
        revise::{self, Guard, Revision},
        sagas::{self, CancelRequest, Holder, Lease},
    },
};

/// What the transaction came to.
enum Cancelled {
    /// The saga of the pending order was asked.
    Asked,
    Done {
        order: Box<Order>,
        /// The step that was begun.
        begun: Option<Lease>,
    },
}

impl Orders {
    /// Cancels an order of the viewer's, or any for staff.
    pub(crate) async fn cancel(&self, viewer: Viewer, id: Uuid, note: Option<String>) -> Result<Order, Error> {
        let orders = self.clone();
        let cancelled = self
            .detached("cancelling an order", async move {
                let holder = orders.parts.holder;
                let cancelled = orders
                    .commit(Commit::Cancel, move |transaction| {
                        Box::pin(cancel(transaction, viewer, id, note.clone(), holder))
                    })
                    .await?;
                orders.wake.recovery.notify_one();
                if let Cancelled::Done { order, begun } = &cancelled {
                    orders.bulletin.announce(id);
                    orders.metrics.moved(order);
                    orders.wake.relay.notify_one();
                    if let Some(lease) = begun {
                        orders.spawn_saga(*lease, Some(saga::Known::from(&**order)));
                    }
                }
                Ok(cancelled)
            })
            .await?;
        match cancelled {
            Cancelled::Done { order, .. } => Ok(*order),
            Cancelled::Asked => {
                let settled = self.wait_until_settled(&self.bulletin.subscribe(id), false).await?;
                settled.ok_or(Error::Pending { order_id: id })
            }
        }
    }
}

async fn cancel(
    transaction: &DatabaseTransaction,
    viewer: Viewer,
    id: Uuid,
    note: Option<String>,
    holder: Holder,
) -> Result<Cancelled, Error> {
    let order = orders::find_and_lock(transaction, id, viewer.owner()).await?.ok_or(Error::UnknownOrder)?;
    let from = order.status;
    from.after(Event::Cancel)?;
    let reason = viewer.cancel_reason(order.user_id);
    if from == Status::Pending {
        let request = CancelRequest { by: viewer.user_id, reason, note };
        sagas::request_cancel(transaction, id, &request).await?;
        return Ok(Cancelled::Asked);
    }

    let now = clock::read(transaction).await?;
    let order = if from == Status::Paid { saga::owe_total(transaction, order).await? } else { order };
    let change = Change::Moved(Event::Cancel);
    let revision = Revision { change, actor: viewer.actor(), reason: Some(reason), note, at: now };
    let cancelled = Order { reason: Some(reason), expires_at: None, ..order };
    let order = Box::new(revise::revise(transaction, cancelled, &revision, Guard::None).await?);

    let saga = sagas::find(transaction, id).await?.ok_or(Error::Missing("saga"))?;
    if saga.step == Some(Step::Commit) {
        // The payment's Commit is on its way; its outcome finds the order cancelled and goes on to the Return.
        return Ok(Cancelled::Done { order, begun: None });
    }
    let step = beginning_of(from, Event::Cancel).ok_or(Error::Missing("step of a cancel"))?;
    let begun = sagas::begin(transaction, id, step, holder).await?.ok_or(Error::Raced)?;
    Ok(Cancelled::Done { order, begun: Some(begun) })
}
