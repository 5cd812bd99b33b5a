//! Reservations and their lines.

use std::collections::BTreeMap;

use sea_orm::{
    ActiveEnum as _,
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait, DbBackend, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select,
    sea_query::{Expr, ExprTrait as _, LockBehavior, LockType},
};
use shop_storage::{StorageError, clock, insert_new};
use shop_types::{Instant, Uuid};

use super::{
    entity::{reservation, reservation_line},
    products,
};
use crate::domain::{Line, Lines, Quantity, RefusalReason, RefusedLine, Reservation, ReservedLine, State, Transition};

impl From<State> for reservation::State {
    fn from(state: State) -> Self {
        match state {
            State::Held => Self::Held,
            State::Committed => Self::Committed,
            State::Released => Self::Released,
            State::Refused => Self::Refused,
            State::Returned => Self::Returned,
        }
    }
}

impl From<reservation::State> for State {
    fn from(state: reservation::State) -> Self {
        match state {
            reservation::State::Held => Self::Held,
            reservation::State::Committed => Self::Committed,
            reservation::State::Released => Self::Released,
            reservation::State::Refused => Self::Refused,
            reservation::State::Returned => Self::Returned,
        }
    }
}

/// Adds a reservation without lines; false when the order has one. The key decides, so that of two at once only one
/// goes on, on any engine.
pub(crate) async fn insert(
    connection: &impl ConnectionTrait,
    order_id: Uuid,
    state: State,
    hold_until: Option<Instant>,
    now: Instant,
) -> Result<bool, StorageError> {
    let row = reservation::ActiveModel {
        order_id: Set(order_id),
        state: Set(state.into()),
        hold_until: Set(hold_until.map(Instant::as_micros)),
        created_at: Set(now.as_micros()),
        changed_at: Set(now.as_micros()),
    };
    insert_new(connection, reservation::Entity::insert(row)).await
}

/// The state of an order's reservation, locked until the transaction ends where rows have locks.
pub(crate) async fn find_locked(
    connection: &impl ConnectionTrait,
    order_id: Uuid,
) -> Result<Option<State>, StorageError> {
    let row = reservation::Entity::find_by_id(order_id).lock_exclusive().one(connection).await?;
    Ok(row.map(|row| row.state.into()))
}

/// Moves a reservation on; false when it is no longer in the state the transition starts from.
pub(crate) async fn change(
    connection: &impl ConnectionTrait,
    order_id: Uuid,
    transition: Transition,
    now: Instant,
) -> Result<bool, StorageError> {
    set_state(connection, order_id, transition.from(), transition.to(), now).await
}

/// Makes the reservation that [`insert`] just added a refused one.
pub(crate) async fn refuse(
    connection: &impl ConnectionTrait,
    order_id: Uuid,
    now: Instant,
) -> Result<(), StorageError> {
    let refused = set_state(connection, order_id, State::Held, State::Refused, now).await?;
    if refused { Ok(()) } else { Err(DbErr::RecordNotUpdated.into()) }
}

async fn set_state(
    connection: &impl ConnectionTrait,
    order_id: Uuid,
    from: State,
    to: State,
    now: Instant,
) -> Result<bool, StorageError> {
    let changed = reservation::Entity::update_many()
        .col_expr(reservation::Column::State, Expr::val(reservation::State::from(to).to_value()))
        .col_expr(reservation::Column::ChangedAt, Expr::val(now.as_micros()))
        .filter(reservation::Column::OrderId.eq(order_id))
        .filter(reservation::Column::State.eq(reservation::State::from(from)))
        .exec(connection)
        .await?;
    Ok(changed.rows_affected == 1)
}

/// Moves the end of a reservation that is still held to `hold_until`, if that is later.
pub(crate) async fn hold_longer(
    connection: &impl ConnectionTrait,
    order_id: Uuid,
    hold_until: Instant,
) -> Result<(), StorageError> {
    reservation::Entity::update_many()
        .col_expr(reservation::Column::HoldUntil, Expr::val(hold_until.as_micros()))
        .filter(reservation::Column::OrderId.eq(order_id))
        .filter(reservation::Column::State.eq(reservation::State::Held))
        .filter(reservation::Column::HoldUntil.lt(hold_until.as_micros()))
        .exec(connection)
        .await?;
    Ok(())
}

/// Orders whose reservation is still held past its time, longest overdue first.
pub(crate) async fn lapsed(connection: &impl ConnectionTrait, limit: u64) -> Result<Vec<Uuid>, StorageError> {
    let lapsed = find_lapsed(connection.get_database_backend());
    let orders = lapsed.order_by_asc(reservation::Column::HoldUntil).limit(limit).into_tuple().all(connection).await?;
    Ok(orders)
}

/// Whether an order's reservation is still held past its time. Locked until the transaction ends where rows have locks;
/// one that somebody else has locked is theirs, and not waited for.
pub(crate) async fn is_lapsed(connection: &impl ConnectionTrait, order_id: Uuid) -> Result<bool, StorageError> {
    let found: Option<Uuid> = find_lapsed(connection.get_database_backend())
        .filter(reservation::Column::OrderId.eq(order_id))
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(found.is_some())
}

/// By the database's clock, which all replicas share.
fn find_lapsed(backend: DbBackend) -> Select<reservation::Entity> {
    reservation::Entity::find()
        .select_only()
        .column(reservation::Column::OrderId)
        .filter(reservation::Column::State.eq(reservation::State::Held))
        .filter(Expr::col(reservation::Column::HoldUntil).lte(clock::now(backend)))
}

/// Keeps the lines of a held reservation with their snapshot.
pub(crate) async fn insert_reserved(
    connection: &impl ConnectionTrait,
    order_id: Uuid,
    lines: &[ReservedLine],
) -> Result<(), StorageError> {
    let rows = lines.iter().map(|reserved| reservation_line::ActiveModel {
        sku: Set(Some(reserved.sku.clone())),
        name: Set(Some(reserved.name.clone())),
        unit_amount: Set(Some(reserved.unit_price.amount())),
        unit_currency: Set(Some(reserved.unit_price.currency().as_str().to_owned())),
        ..bare_line(order_id, reserved.line)
    });
    reservation_line::Entity::insert_many(rows).exec_without_returning(connection).await?;
    Ok(())
}

/// Keeps the lines of a refused reservation, and which of them could not be had.
pub(crate) async fn insert_refused(
    connection: &impl ConnectionTrait,
    order_id: Uuid,
    lines: &Lines,
    refused: &[RefusedLine],
) -> Result<(), StorageError> {
    let rows = lines.iter().map(|line| {
        let reason = refused.iter().find(|refused| refused.product_id == line.product_id).map(|refused| refused.reason);
        let (refusal, available_then) = match reason {
            None => (None, None),
            Some(RefusalReason::NotOrderable) => (Some(reservation_line::Refusal::NotOrderable), None),
            Some(RefusalReason::OutOfStock { available }) => {
                (Some(reservation_line::Refusal::OutOfStock), Some(available))
            }
        };
        reservation_line::ActiveModel {
            refusal: Set(refusal),
            available_then: Set(available_then),
            ..bare_line(order_id, line)
        }
    });
    reservation_line::Entity::insert_many(rows).exec_without_returning(connection).await?;
    Ok(())
}

fn bare_line(order_id: Uuid, line: Line) -> reservation_line::ActiveModel {
    reservation_line::ActiveModel {
        order_id: Set(order_id),
        product_id: Set(line.product_id),
        quantity: Set(line.quantity.pieces()),
        sku: Set(None),
        name: Set(None),
        unit_amount: Set(None),
        unit_currency: Set(None),
        refusal: Set(None),
        available_then: Set(None),
    }
}

/// What was asked for, and what was answered.
pub(crate) async fn load(
    connection: &impl ConnectionTrait,
    order_id: Uuid,
) -> Result<(Lines, Reservation), StorageError> {
    let rows = rows(connection, order_id).await?;
    let mut lines = BTreeMap::new();
    let mut reserved = Vec::new();
    let mut refused = Vec::new();
    for row in rows {
        let quantity = quantity(row.quantity)?;
        lines.insert(row.product_id, quantity);
        let reason = match row.refusal {
            None => None,
            Some(reservation_line::Refusal::NotOrderable) => Some(RefusalReason::NotOrderable),
            Some(reservation_line::Refusal::OutOfStock) => {
                Some(RefusalReason::OutOfStock { available: row.available_then.unwrap_or_default() })
            }
        };
        refused.extend(reason.map(|reason| RefusedLine { product_id: row.product_id, reason }));
        if let (Some(sku), Some(name), Some(amount), Some(currency)) =
            (row.sku, row.name, row.unit_amount, row.unit_currency)
        {
            let line = Line { product_id: row.product_id, quantity };
            reserved.push(ReservedLine { line, sku, name, unit_price: products::money(amount, &currency)? });
        }
    }
    let answer = if refused.is_empty() { Reservation::Reserved(reserved) } else { Reservation::Refused(refused) };
    Ok((Lines::stored(lines), answer))
}

/// The lines of a reservation, in product-id order.
pub(crate) async fn lines(connection: &impl ConnectionTrait, order_id: Uuid) -> Result<Vec<Line>, StorageError> {
    rows(connection, order_id)
        .await?
        .into_iter()
        .map(|row| Ok(Line { product_id: row.product_id, quantity: quantity(row.quantity)? }))
        .collect()
}

async fn rows(connection: &impl ConnectionTrait, order_id: Uuid) -> Result<Vec<reservation_line::Model>, StorageError> {
    let rows = reservation_line::Entity::find()
        .filter(reservation_line::Column::OrderId.eq(order_id))
        .order_by_asc(reservation_line::Column::ProductId)
        .all(connection)
        .await?;
    Ok(rows)
}

fn quantity(pieces: i64) -> Result<Quantity, DbErr> {
    Quantity::parse(pieces).map_err(|error| DbErr::Type(format!("stored quantity: {error}")))
}
