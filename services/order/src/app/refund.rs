//! Money that went back: the price of goods that left, or what is owed. Refunds are whole, and a reference applies once.

use sea_orm::DatabaseTransaction;
use shop_storage::clock;
use shop_types::{Instant, Money, Uuid, new_id};

use super::{Error, Orders, saga};
use crate::{
    domain::{Change, Event, Order, Reference, RefundRefused, RefundVerdict, Viewer, beginning_of, judge_refund},
    failpoint::Commit,
    store::{
        money::{self, Refund},
        orders,
        revise::{self, Guard, Revision},
        sagas::{self, Holder, Lease},
    },
};

/// What staff gave back.
#[derive(Debug, Clone)]
pub(crate) struct RefundRequest {
    pub(crate) order_id: Uuid,
    pub(crate) reference: Reference,
    pub(crate) amount: Money,
    /// Whether the goods came back and go into stock.
    pub(crate) restock: bool,
}

/// A refund as it stands, and its order.
#[derive(Debug)]
pub(crate) struct Refunded {
    pub(crate) refund: Refund,
    pub(crate) order: Order,
    /// Whether the same refund had been recorded before.
    pub(crate) replayed: bool,
    /// Whether it moved the order, rather than settled what was owed.
    moved: bool,
    /// The step that it began.
    begun: Option<Lease>,
}

impl Orders {
    /// Records money that staff gave back.
    pub(crate) async fn refund(&self, viewer: Viewer, request: RefundRequest) -> Result<Refunded, Error> {
        let orders = self.clone();
        self.detached("recording a refund", async move {
            let holder = orders.parts.holder;
            let refunded = orders
                .commit(Commit::Refund, move |transaction| {
                    Box::pin(refund(transaction, viewer, request.clone(), holder))
                })
                .await?;
            if !refunded.replayed {
                orders.bulletin.announce(refunded.order.id);
                if refunded.moved {
                    orders.metrics.moved(&refunded.order);
                }
                orders.wake.relay.notify_one();
            }
            if let Some(lease) = refunded.begun {
                orders.spawn_saga(lease, Some(saga::Known::from(&refunded.order)));
            }
            Ok(refunded)
        })
        .await
    }
}

async fn refund(
    transaction: &DatabaseTransaction,
    viewer: Viewer,
    request: RefundRequest,
    holder: Holder,
) -> Result<Refunded, Error> {
    let RefundRequest { order_id, reference, amount, restock } = request;
    let order = orders::find_and_lock(transaction, order_id, None).await?.ok_or(Error::UnknownOrder)?;
    if let Some(refund) = money::refund(transaction, &reference).await? {
        if refund.order_id != order_id || refund.amount != amount {
            return Err(Error::ReferenceReused);
        }
        return Ok(Refunded { refund, order, replayed: true, moved: false, begun: None });
    }
    let verdict = judge_refund(&order, amount, restock).map_err(|refused| match refused {
        RefundRefused::AmountMismatch { expected } => Error::AmountMismatch { expected },
        RefundRefused::WrongState(refused) => Error::WrongState(refused),
    })?;
    let now = clock::read(transaction).await?;
    let (order, begun) = match verdict {
        RefundVerdict::Total => give_back_total(transaction, viewer, order, restock, holder, now).await?,
        RefundVerdict::Due => (settle_due(transaction, viewer, order, amount, now).await?, None),
    };
    let reference = reference.as_str().to_owned();
    // What was owed for other reasons than goods brings none back.
    let moved = verdict == RefundVerdict::Total;
    let refund = Refund { id: new_id(), order_id, reference, amount, restock: restock && moved, recorded_at: now };
    if !money::insert_refund(transaction, &refund, viewer.actor()).await? {
        // The same reference came twice at once; the next attempt finds it.
        return Err(Error::Raced);
    }
    Ok(Refunded { refund, order, replayed: false, moved, begun })
}

/// The price of goods that left went back; when the goods came back too, their Return begins.
async fn give_back_total(
    transaction: &DatabaseTransaction,
    viewer: Viewer,
    order: Order,
    restock: bool,
    holder: Holder,
    now: Instant,
) -> Result<(Order, Option<Lease>), Error> {
    let from = order.status;
    let change = Change::Moved(Event::Refund);
    let revision = Revision { change, actor: viewer.actor(), reason: None, note: None, at: now };
    let order = revise::revise(transaction, order, &revision, Guard::None).await?;
    if !restock {
        return Ok((order, None));
    }
    let step = beginning_of(from, Event::Refund).ok_or(Error::Missing("step of a refund"))?;
    let begun = sagas::begin(transaction, order.id, step, holder).await?.ok_or(Error::Raced)?;
    Ok((order, Some(begun)))
}

async fn settle_due(
    transaction: &DatabaseTransaction,
    viewer: Viewer,
    order: Order,
    due: Money,
    now: Instant,
) -> Result<Order, Error> {
    let nothing = Money::zero(due.currency());
    money::set_due(transaction, order.id, nothing).await?;
    let revision = Revision { change: Change::DueSettled, actor: viewer.actor(), reason: None, note: None, at: now };
    Ok(revise::revise(transaction, order.with_due(nothing), &revision, Guard::None).await?)
}
