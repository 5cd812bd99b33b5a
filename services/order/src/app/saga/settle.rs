//! The transaction of a step: an outcome becomes the order's next state and the saga's next step.

use std::{sync::Arc, time::Duration};

use sea_orm::DatabaseTransaction;
use shop_storage::clock;
use shop_types::{Instant, Money};

use super::{Known, ask::Answer};
use crate::{
    app::Error,
    domain::{Actor, Change, Effect, Event, Item, Order, Outcome, Reason, Status, plan, total},
    store::{
        money, orders,
        revise::{self, Guard, Revision},
        sagas::{self, CancelRequest, Holder, Lease},
    },
};

/// What the transaction of a step came to.
pub(super) enum Settled {
    /// Another process has the lease; nothing was written.
    LeaseLost,
    Done {
        outcome: Outcome,
        /// Whether the order's state changed.
        moved: bool,
        left: Known,
        next: Option<Lease>,
    },
}

/// The transaction of a step. `known` is the order as it was when the step's call was made.
pub(super) async fn settle(
    transaction: &DatabaseTransaction,
    lease: Lease,
    known: Arc<Order>,
    answer: Answer,
    holder: Holder,
    payment_timeout: Duration,
) -> Result<Settled, Error> {
    let id = lease.order_id;
    // Whoever decides upon an order takes its row first, so what follows is not changed by others meanwhile.
    let (status, version) = orders::lock(transaction, id).await?.ok_or(Error::Missing("order"))?;
    let saga = sagas::find(transaction, id).await?.ok_or(Error::Missing("saga"))?;
    if saga.epoch != lease.epoch || saga.step != Some(lease.step) {
        return Ok(Settled::LeaseLost);
    }
    let order = if version == known.version {
        known
    } else {
        Arc::new(orders::find(transaction, id, None).await?.ok_or(Error::Missing("order"))?)
    };

    let cancel_requested = saga.cancel.is_some();
    let outcome = in_the_light_of(status, saga.cancel.as_ref(), answer.outcome);
    let row = plan(lease.step, outcome).ok_or(Error::Unplanned { step: lease.step, outcome })?;
    let moved = row.effect != Effect::None;
    let order = if moved {
        let (order, now) = (Arc::unwrap_or_clone(order), clock::read(transaction).await?);
        Arc::new(match row.effect {
            Effect::None => order,
            Effect::Reserve => reserve(transaction, order, answer.items, now, payment_timeout).await?,
            Effect::Reject(reason) => reject(transaction, order, answer.items, reason, now).await?,
            Effect::CancelAsAsked => cancel_as_asked(transaction, order, saga.cancel, now).await?,
            Effect::CancelForWantOfStock => cancel_for_want_of_stock(transaction, order, now).await?,
        })
    } else {
        order
    };
    match sagas::advance(transaction, lease, row.next, holder).await? {
        Some(next) => Ok(Settled::Done { outcome, moved, left: Known { order, cancel_requested }, next }),
        // Undone: the lease went between the look and the write.
        None => Err(Error::Raced),
    }
}

/// What an outcome is worth, given what happened to the order while the call was made.
fn in_the_light_of(status: Status, cancel: Option<&CancelRequest>, outcome: Outcome) -> Outcome {
    match (outcome, status) {
        (_, Status::Pending) if cancel.is_some() => Outcome::CancelRequested,
        (Outcome::GoodsCommitted, Status::Cancelled) => Outcome::CommittedForNothing,
        (Outcome::ReservationLapsed, Status::Cancelled) => Outcome::LapsedForNothing,
        (outcome, _) => outcome,
    }
}

async fn reserve(
    transaction: &DatabaseTransaction,
    order: Order,
    items: Option<Vec<Item>>,
    now: Instant,
    payment_timeout: Duration,
) -> Result<Order, Error> {
    let items = items.ok_or(Error::Missing("answer to the reservation"))?;
    orders::answer_items(transaction, order.id, &items).await?;
    // Checked when the answer came.
    let total = total(&items).ok().flatten();
    let reserved = Order { items, total, expires_at: Some(now.plus(payment_timeout)), ..order };
    let revision = by_the_saga(Event::Reserve, None, now);
    Ok(revise::revise(transaction, reserved, &revision, Guard::None).await?)
}

async fn reject(
    transaction: &DatabaseTransaction,
    order: Order,
    items: Option<Vec<Item>>,
    reason: Reason,
    now: Instant,
) -> Result<Order, Error> {
    let items = match items {
        Some(items) => {
            orders::answer_items(transaction, order.id, &items).await?;
            items
        }
        None => order.items,
    };
    let rejected = Order { items, reason: Some(reason), ..order };
    Ok(revise::revise(transaction, rejected, &by_the_saga(Event::Reject, Some(reason), now), Guard::None).await?)
}

async fn cancel_as_asked(
    transaction: &DatabaseTransaction,
    order: Order,
    asked: Option<CancelRequest>,
    now: Instant,
) -> Result<Order, Error> {
    let asked = asked.ok_or(Error::Missing("request to cancel"))?;
    let revision = Revision {
        change: Change::Moved(Event::Cancel),
        actor: Actor::User(asked.by),
        reason: Some(asked.reason),
        note: asked.note,
        at: now,
    };
    let cancelled = Order { reason: Some(asked.reason), ..order };
    Ok(revise::revise(transaction, cancelled, &revision, Guard::None).await?)
}

async fn cancel_for_want_of_stock(
    transaction: &DatabaseTransaction,
    order: Order,
    now: Instant,
) -> Result<Order, Error> {
    let order = match owe_total(transaction, order.clone()).await {
        // It would be no smaller at the next attempt, and the order must come to an end.
        Err(Error::DueTooLarge) => {
            tracing::error!(order.id = %order.id, "the price of a cancelled order can't be added to what is owed back");
            order
        }
        owed => owed?,
    };
    let cancelled = Order { reason: Some(Reason::OutOfStock), ..order };
    let revision = by_the_saga(Event::Cancel, Some(Reason::OutOfStock), now);
    Ok(revise::revise(transaction, cancelled, &revision, Guard::None).await?)
}

/// A paid order's total becomes due back.
pub(in crate::app) async fn owe_total(transaction: &DatabaseTransaction, order: Order) -> Result<Order, Error> {
    let total = order.total.ok_or(Error::Missing("total of a paid order"))?;
    owe(transaction, order, total).await
}

/// Adds to what is owed back.
pub(in crate::app) async fn owe(
    transaction: &DatabaseTransaction,
    order: Order,
    amount: Money,
) -> Result<Order, Error> {
    let due = order.due_like(amount).unwrap_or(Money::zero(amount.currency()));
    let due = due.checked_add(amount).map_err(|_| Error::DueTooLarge)?;
    money::set_due(transaction, order.id, due).await?;
    Ok(order.with_due(due))
}

fn by_the_saga(event: Event, reason: Option<Reason>, at: Instant) -> Revision {
    Revision { change: Change::Moved(event), actor: Actor::Order, reason, note: None, at }
}

#[cfg(test)]
mod tests {
    use shop_types::Uuid;

    use super::*;
    use crate::domain::Step;

    /// A step, what it can come to, and how the order may stand by then.
    type Case<'c> = (Step, &'c [Outcome], &'c [(Status, Option<&'c CancelRequest>)]);

    /// Whatever a step comes to, and whatever happens to the order meanwhile, the plan has a row for it.
    #[test]
    fn every_outcome_in_the_light_of_every_state_is_planned() {
        let asked = CancelRequest { by: Uuid::nil(), reason: Reason::CancelledByCustomer, note: None };
        let pending = [(Status::Pending, None), (Status::Pending, Some(&asked))];
        let paid = [Status::Paid, Status::Cancelled].map(|status| (status, None));
        let over =
            [Status::Rejected, Status::Cancelled, Status::Expired, Status::Refunded].map(|status| (status, None));
        let cases: [Case<'_>; 5] = [
            (Step::ValidateUser, &[Outcome::UserGood, Outcome::UserRefused], &pending),
            (
                Step::Reserve,
                &[
                    Outcome::StockHeld,
                    Outcome::TotalTooLarge,
                    Outcome::OutOfStock,
                    Outcome::NotOrderable,
                    Outcome::ReservationLapsed,
                ],
                &pending,
            ),
            (Step::Commit, &[Outcome::GoodsCommitted, Outcome::ReservationLapsed], &paid),
            (Step::Release, &[Outcome::StockReleased, Outcome::FoundCommitted], &over),
            (Step::Return, &[Outcome::GoodsReturned, Outcome::FoundUncommitted], &over),
        ];
        for (step, outcomes, states) in cases {
            for &outcome in outcomes {
                for &(status, cancel) in states {
                    let seen = in_the_light_of(status, cancel, outcome);
                    let row = plan(step, seen).unwrap_or_else(|| panic!("{step} × {outcome:?} × {status}"));
                    if cancel.is_some() {
                        assert_eq!(row.effect, Effect::CancelAsAsked, "a request to cancel outweighs {outcome:?}");
                    }
                    if status == Status::Cancelled {
                        assert_eq!(row.effect, Effect::None, "{step} × {outcome:?} moves what is over");
                    }
                }
            }
        }
    }
}
