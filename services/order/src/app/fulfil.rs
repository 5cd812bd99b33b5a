//! Sending an order off, and its arrival.

use sea_orm::DatabaseTransaction;
use shop_storage::clock;
use shop_types::Uuid;

use super::{Error, Orders};
use crate::{
    domain::{Change, Event, Order, Step, Viewer},
    failpoint::Commit,
    store::{
        orders,
        revise::{self, Guard, Revision},
        sagas,
    },
};

/// What the transaction came to.
enum Moved {
    /// The goods are not the order's yet: its Commit is outstanding.
    Uncommitted,
    Done(Box<Order>),
}

impl Orders {
    /// Notes that the goods left. They have to be the order's first, so this waits for the Commit of the payment.
    pub(crate) async fn ship(&self, viewer: Viewer, id: Uuid) -> Result<Order, Error> {
        loop {
            match self.fulfil(viewer, id, Event::Ship, Commit::Ship).await? {
                Moved::Done(order) => return Ok(*order),
                Moved::Uncommitted if self.wait_until_committed(id).await? => {}
                Moved::Uncommitted => return Err(Error::Pending { order_id: id }),
            }
        }
    }

    /// Notes that the goods arrived.
    pub(crate) async fn deliver(&self, viewer: Viewer, id: Uuid) -> Result<Order, Error> {
        match self.fulfil(viewer, id, Event::Deliver, Commit::Deliver).await? {
            Moved::Done(order) => Ok(*order),
            Moved::Uncommitted => Err(Error::Pending { order_id: id }),
        }
    }

    async fn fulfil(&self, viewer: Viewer, id: Uuid, event: Event, point: Commit) -> Result<Moved, Error> {
        let moved = self.commit(point, move |transaction| Box::pin(fulfil(transaction, viewer, id, event))).await?;
        if let Moved::Done(order) = &moved {
            self.bulletin.announce(id);
            self.metrics.moved(order);
            self.wake.relay.notify_one();
        }
        Ok(moved)
    }
}

async fn fulfil(transaction: &DatabaseTransaction, viewer: Viewer, id: Uuid, event: Event) -> Result<Moved, Error> {
    let order = orders::find_and_lock(transaction, id, viewer.owner()).await?.ok_or(Error::UnknownOrder)?;
    order.status.after(event)?;
    let saga = sagas::find(transaction, id).await?.ok_or(Error::Missing("saga"))?;
    if saga.step == Some(Step::Commit) {
        return Ok(Moved::Uncommitted);
    }
    let now = clock::read(transaction).await?;
    let revision = Revision { change: Change::Moved(event), actor: viewer.actor(), reason: None, note: None, at: now };
    let order = revise::revise(transaction, order, &revision, Guard::None).await?;
    Ok(Moved::Done(Box::new(order)))
}
