//! The outbox: one event for each version of an order, and which orders have unsent ones.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
    prelude::Json,
    sea_query::{Expr, ExprTrait as _, LockBehavior, LockType, OnConflict},
};
use shop_storage::{StorageError, clock};
use shop_types::{Instant, Uuid};

use super::entity::{delivery, outbox};
use crate::domain::{Change, Order, event_data};

/// An event to be sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredEvent {
    pub(crate) order_id: Uuid,
    pub(crate) version: i64,
    pub(crate) event_type: String,
    pub(crate) data: Json,
    pub(crate) at: Instant,
}

/// The right to send an order's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) order_id: Uuid,
    pub(crate) epoch: i64,
    /// Failed attempts since the last success.
    pub(crate) attempts: i32,
}

/// Adds the event of an order's version, and sees to it that the order is delivered.
pub(super) async fn append(
    connection: &impl ConnectionTrait,
    order: &Order,
    change: Change,
    at: Instant,
) -> Result<(), StorageError> {
    let event = outbox::ActiveModel {
        order_id: Set(order.id),
        version: Set(order.version),
        event_type: Set(change.event_type().to_owned()),
        data: Set(event_data(order)),
        at: Set(at.as_micros()),
        sent_at: Set(None),
    };
    outbox::Entity::insert(event).exec_without_returning(connection).await?;
    begin(connection, order.id, at).await
}

/// Sees to it that an order is delivered. One that has unsent events already is in its turn, or in its pause, and stays
/// there; the write takes its row all the same, so that it is not being ended at this moment.
async fn begin(connection: &impl ConnectionTrait, order_id: Uuid, at: Instant) -> Result<(), StorageError> {
    let delivery = delivery::ActiveModel {
        order_id: Set(order_id),
        due_at: Set(at.as_micros()),
        attempts: Set(0),
        lease_epoch: Set(0),
    };
    let or_keep = OnConflict::column(delivery::Column::OrderId).update_column(delivery::Column::OrderId).to_owned();
    delivery::Entity::insert(delivery).on_conflict(or_keep).exec_without_returning(connection).await?;
    Ok(())
}

/// Whether an order's events are due.
pub(crate) async fn any_due(connection: &impl ConnectionTrait) -> Result<bool, StorageError> {
    let due: Option<Uuid> = delivery::Entity::find()
        .select_only()
        .column(delivery::Column::OrderId)
        .filter(delivery::Column::DueAt.into_expr().lte(clock::now(connection.get_database_backend())))
        .limit(1)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(due.is_some())
}

/// When the next order's events are due.
pub(crate) async fn next_due(connection: &impl ConnectionTrait) -> Result<Option<Instant>, StorageError> {
    let next: Option<i64> = delivery::Entity::find()
        .select_only()
        .column(delivery::Column::DueAt)
        .order_by_asc(delivery::Column::DueAt)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(next.map(Instant::from_micros))
}

/// Takes the deliveries of at most `limit` orders whose events are due, the longest due first. What another process takes
/// or changes at this moment is left to it.
pub(crate) async fn claim(
    connection: &impl ConnectionTrait,
    limit: u64,
    lease: Duration,
) -> Result<Vec<Delivery>, StorageError> {
    let due = delivery::Entity::find()
        .filter(delivery::Column::DueAt.into_expr().lte(clock::now(connection.get_database_backend())))
        .order_by_asc(delivery::Column::DueAt)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(connection)
        .await?;
    if !due.is_empty() {
        delivery::Entity::update_many()
            .col_expr(delivery::Column::DueAt, clock::now_plus_micros(connection.get_database_backend(), micros(lease)))
            .col_expr(delivery::Column::LeaseEpoch, Expr::col(delivery::Column::LeaseEpoch).add(1))
            .filter(delivery::Column::OrderId.is_in(due.iter().map(|row| row.order_id)))
            .exec(connection)
            .await?;
    }
    let taken = due.into_iter();
    Ok(taken
        .map(|row| Delivery { order_id: row.order_id, epoch: row.lease_epoch + 1, attempts: row.attempts })
        .collect())
}

/// The first unsent event of an order.
pub(crate) async fn next(
    connection: &impl ConnectionTrait,
    order_id: Uuid,
) -> Result<Option<StoredEvent>, StorageError> {
    let row = outbox::Entity::find()
        .filter(outbox::Column::OrderId.eq(order_id))
        .filter(outbox::Column::SentAt.is_null())
        .order_by_asc(outbox::Column::Version)
        .one(connection)
        .await?;
    Ok(row.map(|row| StoredEvent {
        order_id: row.order_id,
        version: row.version,
        event_type: row.event_type,
        data: row.data,
        at: Instant::from_micros(row.at),
    }))
}

/// Notes that an event was sent, and extends the lease for the next; false when the lease was lost.
pub(crate) async fn sent(
    connection: &impl ConnectionTrait,
    delivery: Delivery,
    version: i64,
    lease: Duration,
) -> Result<bool, StorageError> {
    let kept = delivery::Entity::update_many()
        .col_expr(delivery::Column::DueAt, clock::now_plus_micros(connection.get_database_backend(), micros(lease)))
        .col_expr(delivery::Column::Attempts, Expr::val(0))
        .filter(held(delivery))
        .exec(connection)
        .await?;
    if kept.rows_affected == 0 {
        return Ok(false);
    }
    outbox::Entity::update_many()
        .col_expr(outbox::Column::SentAt, clock::now(connection.get_database_backend()))
        .filter(outbox::Column::OrderId.eq(delivery.order_id))
        .filter(outbox::Column::Version.eq(version))
        .exec(connection)
        .await?;
    Ok(true)
}

/// Ends the delivery of an order. One whose events were not all sent is due again: an event may have been written since.
pub(crate) async fn finish(connection: &impl ConnectionTrait, delivery: Delivery) -> Result<(), StorageError> {
    // Whoever writes an event takes this row too: what is written from here on finds it ended, and begins another.
    let row = delivery::Entity::find().filter(held(delivery)).lock_exclusive().one(connection).await?;
    if row.is_none() {
        return Ok(());
    }
    if next(connection, delivery.order_id).await?.is_some() {
        delivery::Entity::update_many()
            .col_expr(delivery::Column::DueAt, clock::now(connection.get_database_backend()))
            .filter(held(delivery))
            .exec(connection)
            .await?;
    } else {
        delivery::Entity::delete_many().filter(held(delivery)).exec(connection).await?;
    }
    Ok(())
}

/// Gives the delivery of an order back for a while, after a failure.
pub(crate) async fn postpone(
    connection: &impl ConnectionTrait,
    delivery: Delivery,
    pause: Duration,
) -> Result<(), StorageError> {
    delivery::Entity::update_many()
        .col_expr(delivery::Column::DueAt, clock::now_plus_micros(connection.get_database_backend(), micros(pause)))
        .col_expr(delivery::Column::Attempts, Expr::val(delivery.attempts.saturating_add(1)))
        .filter(held(delivery))
        .exec(connection)
        .await?;
    Ok(())
}

/// When the oldest unsent event was written.
pub(crate) async fn oldest_unsent(connection: &impl ConnectionTrait) -> Result<Option<Instant>, StorageError> {
    let oldest: Option<Option<i64>> = outbox::Entity::find()
        .select_only()
        .expr(outbox::Column::At.min())
        .filter(outbox::Column::SentAt.is_null())
        .into_tuple()
        .one(connection)
        .await?;
    Ok(oldest.flatten().map(Instant::from_micros))
}

/// At most `limit` events that were sent longer ago than `kept`; or, of unsent ones, written longer ago.
pub(crate) async fn old(
    connection: &impl ConnectionTrait,
    kept: Duration,
    unsent: bool,
    limit: u64,
) -> Result<Vec<(Uuid, i64)>, StorageError> {
    let horizon = clock::now_plus_micros(connection.get_database_backend(), -micros(kept));
    let age = if unsent {
        outbox::Column::SentAt.is_null().and(outbox::Column::At.into_expr().lte(horizon))
    } else {
        outbox::Column::SentAt.into_expr().lte(horizon)
    };
    let events = outbox::Entity::find()
        .select_only()
        .column(outbox::Column::OrderId)
        .column(outbox::Column::Version)
        .filter(age)
        .limit(limit)
        .into_tuple()
        .all(connection)
        .await?;
    Ok(events)
}

/// Drops these events, and the deliveries of orders that have none left to send.
pub(crate) async fn drop_events(connection: &impl ConnectionTrait, events: &[(Uuid, i64)]) -> Result<(), StorageError> {
    let these = events.iter().fold(Condition::any(), |any, (order_id, version)| {
        any.add(outbox::Column::OrderId.eq(*order_id).and(outbox::Column::Version.eq(*version)))
    });
    outbox::Entity::delete_many().filter(these).exec(connection).await?;
    // The deliveries first, by lock, then what is unsent: an event that is being written waits for its delivery's row, or
    // has it, and is seen.
    let orders: Vec<Uuid> = delivery::Entity::find()
        .select_only()
        .column(delivery::Column::OrderId)
        .filter(delivery::Column::OrderId.is_in(events.iter().map(|(order_id, _)| *order_id)))
        .order_by_asc(delivery::Column::OrderId)
        .lock_exclusive()
        .into_tuple()
        .all(connection)
        .await?;
    let unsent: Vec<Uuid> = outbox::Entity::find()
        .select_only()
        .column(outbox::Column::OrderId)
        .filter(outbox::Column::OrderId.is_in(orders.clone()))
        .filter(outbox::Column::SentAt.is_null())
        .into_tuple()
        .all(connection)
        .await?;
    let ended: Vec<Uuid> = orders.into_iter().filter(|order_id| !unsent.contains(order_id)).collect();
    if !ended.is_empty() {
        delivery::Entity::delete_many().filter(delivery::Column::OrderId.is_in(ended)).exec(connection).await?;
    }
    Ok(())
}

fn held(delivery: Delivery) -> Condition {
    Condition::all()
        .add(delivery::Column::OrderId.eq(delivery.order_id))
        .add(delivery::Column::LeaseEpoch.eq(delivery.epoch))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
