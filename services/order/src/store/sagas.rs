//! Sagas: the outstanding step of each order, and the lease of whoever works on it.
//!
//! A lease is an epoch and a time by the database's clock. Taking one raises the epoch; every write of its holder is
//! conditional on it, so one that was too slow changes nothing.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, ConnectionTrait, DbBackend, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
    sea_query::{Expr, ExprTrait as _, LockBehavior, LockType, SimpleExpr, Value},
};
use shop_storage::{StorageError, clock};
use shop_types::{Instant, Uuid};

use super::{corrupt, entity::saga, rows};
use crate::domain::{Reason, Step};

/// The right to work on an order's outstanding step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) order_id: Uuid,
    pub(crate) step: Step,
    pub(crate) epoch: i64,
    /// Failed attempts at the step.
    pub(crate) attempts: i32,
}

/// Who takes a lease, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder {
    /// The process, by an id of its own for each start.
    pub(crate) owner: Uuid,
    pub(crate) lease: Duration,
}

/// Somebody wants a pending order cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CancelRequest {
    pub(crate) by: Uuid,
    pub(crate) reason: Reason,
    pub(crate) note: Option<String>,
}

/// What an order's saga has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saga {
    pub(crate) step: Option<Step>,
    pub(crate) attempts: i32,
    pub(crate) epoch: i64,
    pub(crate) cancel: Option<CancelRequest>,
}

pub(super) fn step(name: &str) -> Result<Step, StorageError> {
    Step::parse(name).ok_or_else(|| corrupt("saga step", name))
}

/// The saga of an order.
pub(crate) async fn find(connection: &impl ConnectionTrait, order_id: Uuid) -> Result<Option<Saga>, StorageError> {
    let Some(row) = saga::Entity::find_by_id(order_id).one(connection).await? else { return Ok(None) };
    let cancel = match (row.cancel_by, rows::reason(row.cancel_reason.as_deref())?) {
        (Some(by), Some(reason)) => Some(CancelRequest { by, reason, note: row.cancel_note }),
        _ => None,
    };
    let step = row.step.as_deref().map(step).transpose()?;
    Ok(Some(Saga { step, attempts: row.attempts, epoch: row.lease_epoch, cancel }))
}

/// The saga of a new order, its first step leased to `holder`.
pub(crate) async fn insert(
    connection: &impl ConnectionTrait,
    order_id: Uuid,
    first: Step,
    holder: Holder,
    now: Instant,
) -> Result<Lease, StorageError> {
    let lease = Lease { order_id, step: first, epoch: 1, attempts: 0 };
    let row = saga::ActiveModel {
        order_id: Set(order_id),
        step: Set(Some(first.as_str().to_owned())),
        since: Set(Some(now.as_micros())),
        due_at: Set(Some(now.plus(holder.lease).as_micros())),
        attempts: Set(0),
        lease_owner: Set(Some(holder.owner)),
        lease_epoch: Set(lease.epoch),
        cancel_by: Set(None),
        cancel_reason: Set(None),
        cancel_note: Set(None),
    };
    saga::Entity::insert(row).exec_without_returning(connection).await?;
    Ok(lease)
}

/// Gives a saga at rest a step, leased to `holder`; `None` when it is not at rest.
pub(crate) async fn begin(
    connection: &impl ConnectionTrait,
    order_id: Uuid,
    step: Step,
    holder: Holder,
) -> Result<Option<Lease>, StorageError> {
    let begun = saga::Entity::update_many()
        .col_expr(saga::Column::Step, Expr::val(step.as_str()))
        .col_expr(saga::Column::Since, clock::now(connection.get_database_backend()))
        .col_expr(saga::Column::DueAt, end_of(holder, connection.get_database_backend()))
        .col_expr(saga::Column::Attempts, Expr::val(0))
        .col_expr(saga::Column::LeaseOwner, Expr::val(holder.owner))
        .col_expr(saga::Column::LeaseEpoch, Expr::col(saga::Column::LeaseEpoch).add(1))
        .filter(saga::Column::OrderId.eq(order_id))
        .filter(saga::Column::Step.is_null())
        .exec(connection)
        .await?;
    if begun.rows_affected == 0 {
        return Ok(None);
    }
    let saga = find(connection, order_id).await?;
    Ok(saga.map(|saga| Lease { order_id, step, epoch: saga.epoch, attempts: 0 }))
}

/// Takes at most `limit` steps that are due, the longest due first: nobody works on them, and no pause is on. What another
/// process takes or changes at this moment is left to it.
pub(crate) async fn claim(
    connection: &impl ConnectionTrait,
    limit: u64,
    holder: Holder,
) -> Result<Vec<Lease>, StorageError> {
    let rows: Vec<(Uuid, String, i64, i32)> = saga::Entity::find()
        .select_only()
        .columns([saga::Column::OrderId, saga::Column::Step, saga::Column::LeaseEpoch, saga::Column::Attempts])
        .filter(is_due(connection.get_database_backend()))
        .order_by_asc(saga::Column::DueAt)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(connection)
        .await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for (order_id, name, epoch, attempts) in rows {
        claimed.push(Lease { order_id, step: step(&name)?, epoch: epoch + 1, attempts });
    }
    if !claimed.is_empty() {
        saga::Entity::update_many()
            .col_expr(saga::Column::DueAt, end_of(holder, connection.get_database_backend()))
            .col_expr(saga::Column::LeaseOwner, Expr::val(holder.owner))
            .col_expr(saga::Column::LeaseEpoch, Expr::col(saga::Column::LeaseEpoch).add(1))
            .filter(saga::Column::OrderId.is_in(claimed.iter().map(|lease| lease.order_id)))
            .exec(connection)
            .await?;
    }
    Ok(claimed)
}

/// A step that may be taken.
fn is_due(backend: DbBackend) -> Condition {
    Condition::all().add(saga::Column::DueAt.into_expr().lte(clock::now(backend))).add(is_known())
}

/// A step that this binary knows: in the middle of an upgrade others may be outstanding, and are left to newer replicas.
fn is_known() -> SimpleExpr {
    saga::Column::Step.is_in(Step::ALL.iter().map(|step| step.as_str()))
}

/// Puts the next step in the place of the one that is done, still leased; `None` is rest. `None` is returned when the
/// lease was lost.
pub(crate) async fn advance(
    connection: &impl ConnectionTrait,
    lease: Lease,
    next: Option<Step>,
    holder: Holder,
) -> Result<Option<Option<Lease>>, StorageError> {
    let when = |at: SimpleExpr| if next.is_some() { at } else { Expr::val(None::<i64>) };
    let written = saga::Entity::update_many()
        .col_expr(saga::Column::Step, Expr::val(next.map(Step::as_str)))
        .col_expr(saga::Column::Since, when(clock::now(connection.get_database_backend())))
        .col_expr(saga::Column::DueAt, when(end_of(holder, connection.get_database_backend())))
        .col_expr(saga::Column::Attempts, Expr::val(0))
        .col_expr(saga::Column::LeaseOwner, Expr::val(next.map(|_| holder.owner)))
        .filter(held(lease))
        .exec(connection)
        .await?;
    Ok((written.rows_affected == 1).then(|| next.map(|step| Lease { step, attempts: 0, ..lease })))
}

/// When a lease that is taken now is over.
fn end_of(holder: Holder, backend: DbBackend) -> SimpleExpr {
    clock::now_plus_micros(backend, i64::try_from(holder.lease.as_micros()).unwrap_or(i64::MAX))
}

/// A saga whose step is the lease's.
fn held(lease: Lease) -> Condition {
    Condition::all()
        .add(saga::Column::OrderId.eq(lease.order_id))
        .add(saga::Column::LeaseEpoch.eq(lease.epoch))
        .add(saga::Column::Step.eq(lease.step.as_str()))
}

/// Gives a step that failed back for a while; false when the lease was lost. A step that the saga of a cancelled order
/// will not take any more has no pause: the request to cancel may have come while the step's call was made.
pub(crate) async fn postpone(
    connection: &impl ConnectionTrait,
    lease: Lease,
    pause: Duration,
) -> Result<bool, StorageError> {
    let pause = i64::try_from(pause.as_micros()).unwrap_or(i64::MAX);
    let backend = connection.get_database_backend();
    let due_at = match lease.step {
        Step::ValidateUser | Step::Reserve => {
            let later = clock::now_plus_micros(backend, pause);
            Expr::case(saga::Column::CancelBy.is_not_null(), clock::now(backend)).finally(later).into()
        }
        Step::Commit | Step::Release | Step::Return => clock::now_plus_micros(backend, pause),
    };
    let written = saga::Entity::update_many()
        .col_expr(saga::Column::DueAt, due_at)
        .col_expr(saga::Column::Attempts, Expr::val(lease.attempts.saturating_add(1)))
        .col_expr(saga::Column::LeaseOwner, Expr::val(Value::from(None::<Uuid>)))
        .filter(held(lease))
        .exec(connection)
        .await?;
    Ok(written.rows_affected == 1)
}

/// Gives a step back that nothing was done about, to be due now; not if the lease was lost.
pub(crate) async fn give_back(connection: &impl ConnectionTrait, lease: Lease) -> Result<(), StorageError> {
    saga::Entity::update_many()
        .col_expr(saga::Column::DueAt, clock::now(connection.get_database_backend()))
        .col_expr(saga::Column::LeaseOwner, Expr::val(Value::from(None::<Uuid>)))
        .filter(held(lease))
        .exec(connection)
        .await?;
    Ok(())
}

/// Leaves a request to cancel for the saga of a pending order, and ends a pause so that it is soon seen.
pub(crate) async fn request_cancel(
    connection: &impl ConnectionTrait,
    order_id: Uuid,
    request: &CancelRequest,
) -> Result<(), StorageError> {
    saga::Entity::update_many()
        .col_expr(saga::Column::CancelBy, Expr::val(request.by))
        .col_expr(saga::Column::CancelReason, Expr::val(request.reason.as_str()))
        .col_expr(saga::Column::CancelNote, Expr::val(request.note.clone()))
        .filter(saga::Column::OrderId.eq(order_id))
        .exec(connection)
        .await?;
    saga::Entity::update_many()
        .col_expr(saga::Column::DueAt, clock::now(connection.get_database_backend()))
        .filter(saga::Column::OrderId.eq(order_id))
        .filter(saga::Column::Step.is_not_null())
        .filter(saga::Column::LeaseOwner.is_null())
        .exec(connection)
        .await?;
    Ok(())
}

/// Whether a step is due.
pub(crate) async fn any_due(connection: &impl ConnectionTrait) -> Result<bool, StorageError> {
    let due: Option<Uuid> = saga::Entity::find()
        .select_only()
        .column(saga::Column::OrderId)
        .filter(is_due(connection.get_database_backend()))
        .limit(1)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(due.is_some())
}

/// When the next step is due.
pub(crate) async fn next_due(connection: &impl ConnectionTrait) -> Result<Option<Instant>, StorageError> {
    let next: Option<Option<i64>> = saga::Entity::find()
        .select_only()
        .column(saga::Column::DueAt)
        .filter(saga::Column::DueAt.is_not_null())
        .filter(is_known())
        .order_by_asc(saga::Column::DueAt)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(next.flatten().map(Instant::from_micros))
}

/// Since when the step that is outstanding for longest has been.
pub(crate) async fn oldest(connection: &impl ConnectionTrait) -> Result<Option<Instant>, StorageError> {
    let oldest: Option<Option<i64>> = saga::Entity::find()
        .select_only()
        .expr(saga::Column::Since.min())
        .filter(saga::Column::DueAt.is_not_null())
        .into_tuple()
        .one(connection)
        .await?;
    Ok(oldest.flatten().map(Instant::from_micros))
}
