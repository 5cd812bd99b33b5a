//! The one place that writes orders: each version with its history entry and its event, by compare-and-set on the version
//! before it.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, ConnectionTrait, DbBackend, EntityTrait as _, QueryFilter as _,
    sea_query::{ExprTrait as _, SimpleExpr},
};
use shop_storage::{StorageError, clock};
use shop_types::Instant;

use super::{
    entity::{history, order},
    orders, outbox, rows,
};
use crate::domain::{Actor, Change, Order, Reason, Status, WrongState};

/// How a version came to be.
#[derive(Debug, Clone)]
pub(crate) struct Revision {
    pub(crate) change: Change,
    pub(crate) actor: Actor,
    pub(crate) reason: Option<Reason>,
    pub(crate) note: Option<String>,
    /// By the database's clock.
    pub(crate) at: Instant,
}

/// What must be true of the stored order besides its version, by the database's clock at the moment of the write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    None,
    /// `expires_at` is to come.
    InTime,
    /// `expires_at` has come.
    Overdue,
}

impl Guard {
    fn condition(self, backend: DbBackend) -> Option<SimpleExpr> {
        match self {
            Self::None => None,
            Self::InTime => Some(order::Column::ExpiresAt.into_expr().gt(clock::now(backend))),
            Self::Overdue => Some(order::Column::ExpiresAt.into_expr().lte(clock::now(backend))),
        }
    }
}

/// Why an order was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRevised {
    /// The table of states has no such way.
    #[error(transparent)]
    WrongState(WrongState),
    /// Another change was faster: read again and decide again.
    #[error("the order changed in between")]
    Raced,
    /// The order is as it was read, but the guard does not hold.
    #[error("the order's time has passed, or has not come")]
    Guarded,
    #[error(transparent)]
    Storage(StorageError),
}

impl From<WrongState> for NotRevised {
    fn from(refused: WrongState) -> Self {
        Self::WrongState(refused)
    }
}

impl From<StorageError> for NotRevised {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// Adds a new order with its first history entry and event. Its items are written with it.
pub(crate) async fn insert(
    connection: &impl ConnectionTrait,
    order: &Order,
    revision: &Revision,
) -> Result<(), StorageError> {
    order::Entity::insert(rows::order_row(order)).exec_without_returning(connection).await?;
    orders::insert_items(connection, order.id, &order.items).await?;
    record(connection, order, None, revision).await
}

/// Writes the next version of an order. `order` is as it was read, but for what the change sets besides the status;
/// the status follows from the table of states. Items and dues are tables of their own and written by the caller.
pub(crate) async fn revise(
    connection: &impl ConnectionTrait,
    order: Order,
    revision: &Revision,
    guard: Guard,
) -> Result<Order, NotRevised> {
    let (from, read_version) = (order.status, order.version);
    let status = match revision.change {
        Change::Moved(event) => from.after(event)?,
        Change::Placed | Change::DueAdded | Change::DueSettled => from,
    };
    let next = Order { status, version: read_version + 1, updated_at: revision.at, ..order };
    let as_read = Condition::all()
        .add(order::Column::Id.eq(next.id))
        .add(order::Column::Status.eq(from.as_str()))
        .add(order::Column::Version.eq(read_version));
    let updated = order::Entity::update_many()
        .set(rows::changed_order_row(&next))
        .filter(as_read.clone().add_option(guard.condition(connection.get_database_backend())))
        .exec(connection)
        .await
        .map_err(StorageError::from)?;
    if updated.rows_affected == 0 {
        let unchanged = order::Entity::find().filter(as_read).one(connection).await.map_err(StorageError::from)?;
        return Err(if unchanged.is_some() { NotRevised::Guarded } else { NotRevised::Raced });
    }
    record(connection, &next, Some(from), revision).await?;
    Ok(next)
}

/// Adds the history entry and the event of a version.
async fn record(
    connection: &impl ConnectionTrait,
    order: &Order,
    from: Option<Status>,
    revision: &Revision,
) -> Result<(), StorageError> {
    let entry = history::ActiveModel {
        order_id: Set(order.id),
        version: Set(order.version),
        from_status: Set(from.map(|status| status.as_str().to_owned())),
        to_status: Set(order.status.as_str().to_owned()),
        actor: Set(revision.actor.to_string()),
        reason: Set(revision.reason.map(|reason| reason.as_str().to_owned())),
        note: Set(revision.note.clone()),
        at: Set(revision.at.as_micros()),
    };
    history::Entity::insert(entry).exec_without_returning(connection).await?;
    outbox::append(connection, order, revision.change, revision.at).await
}
