//! Stock rows and the ledger of what changed them.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, QuerySelect as _, UpdateMany,
    sea_query::{Expr, ExprTrait as _},
};
use shop_storage::StorageError;
use shop_types::{Instant, Uuid, new_id};

use super::entity::{ledger, stock};
use crate::domain::{Adjustment, AdjustmentRequest, Line, Stock, Transition};

impl From<stock::Model> for Stock {
    fn from(row: stock::Model) -> Self {
        Self::stored(row.available, row.reserved)
    }
}

/// Adds the stock rows of new products, and the adjustment that each of them begins with, if any.
pub(crate) async fn insert_all<'a>(
    connection: &impl ConnectionTrait,
    stocks: impl Iterator<Item = (Uuid, Option<&'a (AdjustmentRequest, Adjustment)>)>,
) -> Result<(), StorageError> {
    let (mut rows, mut entries) = (Vec::new(), Vec::new());
    for (product_id, made) in stocks {
        let stock = made.map_or(Stock::EMPTY, |(_, adjustment)| adjustment.stock);
        rows.push(stock::ActiveModel {
            product_id: Set(product_id),
            on_hand: Set(stock.on_hand()),
            available: Set(stock.available()),
            reserved: Set(stock.reserved()),
        });
        entries.extend(made.map(|(request, adjustment)| adjustment_entry(request, adjustment)));
    }
    stock::Entity::insert_many(rows).exec_without_returning(connection).await?;
    ledger::Entity::insert_many(entries).exec_without_returning(connection).await?;
    Ok(())
}

pub(crate) async fn find(connection: &impl ConnectionTrait, product_id: Uuid) -> Result<Option<Stock>, StorageError> {
    Ok(stock::Entity::find_by_id(product_id).one(connection).await?.map(Stock::from))
}

/// The stock of a product, locked until the transaction ends where rows have locks.
pub(crate) async fn find_locked(
    connection: &impl ConnectionTrait,
    product_id: Uuid,
) -> Result<Option<Stock>, StorageError> {
    Ok(stock::Entity::find_by_id(product_id).lock_exclusive().one(connection).await?.map(Stock::from))
}

/// How many of each product are available, archived or not, in no order; unknown ids are left out.
pub(crate) async fn available(
    connection: &impl ConnectionTrait,
    product_ids: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<(Uuid, i64)>, StorageError> {
    let rows = stock::Entity::find()
        .select_only()
        .columns([stock::Column::ProductId, stock::Column::Available])
        .filter(stock::Column::ProductId.is_in(product_ids))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(rows)
}

/// The adjustment that was made with a key.
pub(crate) async fn find_adjustment(
    connection: &impl ConnectionTrait,
    product_id: Uuid,
    key: &str,
) -> Result<Option<Adjustment>, StorageError> {
    let row = ledger::Entity::find()
        .filter(ledger::Column::ProductId.eq(product_id))
        .filter(ledger::Column::IdempotencyKey.eq(key))
        .one(connection)
        .await?;
    Ok(row.map(|row| Adjustment {
        id: row.id,
        product_id: row.product_id,
        delta: row.delta,
        reason: row.reason.unwrap_or_default(),
        actor: row.actor,
        at: Instant::from_micros(row.at),
        stock: Stock::stored(row.available_after.unwrap_or_default(), row.reserved_after.unwrap_or_default()),
    }))
}

/// Changes the stock and enters the adjustment. `adjustment.stock` is what [`Stock::adjusted`] made of the locked row.
pub(crate) async fn adjust(
    connection: &impl ConnectionTrait,
    request: &AdjustmentRequest,
    adjustment: &Adjustment,
) -> Result<(), StorageError> {
    let update = shift([(stock::Column::OnHand, request.delta), (stock::Column::Available, request.delta)]);
    apply(connection, update, request.product_id).await?;
    let entry = adjustment_entry(request, adjustment);
    ledger::Entity::insert(entry).exec_without_returning(connection).await?;
    Ok(())
}

fn adjustment_entry(request: &AdjustmentRequest, adjustment: &Adjustment) -> ledger::ActiveModel {
    ledger::ActiveModel {
        id: Set(adjustment.id),
        product_id: Set(adjustment.product_id),
        kind: Set(ledger::Kind::Adjustment),
        delta: Set(adjustment.delta),
        order_id: Set(None),
        actor: Set(adjustment.actor.clone()),
        reason: Set(Some(adjustment.reason.clone())),
        idempotency_key: Set(Some(request.key.clone())),
        available_after: Set(Some(adjustment.stock.available())),
        reserved_after: Set(Some(adjustment.stock.reserved())),
        at: Set(adjustment.at.as_micros()),
    }
}

/// Moves a line from available to reserved; false when too few are available, and then nothing moved.
pub(crate) async fn take(connection: &impl ConnectionTrait, line: Line) -> Result<bool, StorageError> {
    let pieces = line.quantity.pieces();
    let taken = shift([(stock::Column::Available, -pieces), (stock::Column::Reserved, pieces)])
        .filter(stock::Column::ProductId.eq(line.product_id))
        // Not `available >= pieces`: MariaDB would look for the row by its index on `available`, and miss it there when
        // another write that it waited for has moved it down.
        .filter(Expr::col(stock::Column::Available).sub(pieces).gte(0))
        .exec(connection)
        .await?;
    Ok(taken.rows_affected == 1)
}

/// Moves the lines of an order as its reservation changes, and enters what left or came back.
pub(crate) async fn transition(
    connection: &impl ConnectionTrait,
    order_id: Uuid,
    lines: impl Iterator<Item = Line>,
    transition: Transition,
    now: Instant,
) -> Result<(), StorageError> {
    let mut entries = Vec::new();
    for line in lines {
        let pieces = line.quantity.pieces();
        let (moved, entry) = match transition {
            Transition::GiveBack => ([(stock::Column::Reserved, -pieces), (stock::Column::Available, pieces)], None),
            Transition::TakeOut => (
                [(stock::Column::Reserved, -pieces), (stock::Column::OnHand, -pieces)],
                Some((ledger::Kind::Commit, -pieces)),
            ),
            Transition::PutBack => (
                [(stock::Column::OnHand, pieces), (stock::Column::Available, pieces)],
                Some((ledger::Kind::Return, pieces)),
            ),
        };
        apply(connection, shift(moved), line.product_id).await?;
        entries.extend(entry.map(|(kind, delta)| order_entry(order_id, line.product_id, kind, delta, now)));
    }
    ledger::Entity::insert_many(entries).exec_without_returning(connection).await?;
    Ok(())
}

/// Who makes the ledger's rows of orders.
const ORDER_ACTOR: &str = "order";

fn order_entry(order_id: Uuid, product_id: Uuid, kind: ledger::Kind, delta: i64, at: Instant) -> ledger::ActiveModel {
    ledger::ActiveModel {
        id: Set(new_id()),
        product_id: Set(product_id),
        kind: Set(kind),
        delta: Set(delta),
        order_id: Set(Some(order_id)),
        actor: Set(ORDER_ACTOR.to_owned()),
        reason: Set(None),
        idempotency_key: Set(None),
        available_after: Set(None),
        reserved_after: Set(None),
        at: Set(at.as_micros()),
    }
}

/// Adds to columns of stock: `column = column + delta`.
fn shift(deltas: [(stock::Column, i64); 2]) -> UpdateMany<stock::Entity> {
    deltas.into_iter().fold(stock::Entity::update_many(), |update, (column, delta)| {
        update.col_expr(column, Expr::col(column).add(delta))
    })
}

/// Runs an update that must find its row: the checks of the table refuse one that would not add up.
async fn apply(
    connection: &impl ConnectionTrait,
    update: UpdateMany<stock::Entity>,
    product_id: Uuid,
) -> Result<(), StorageError> {
    let updated = update.filter(stock::Column::ProductId.eq(product_id)).exec(connection).await?;
    if updated.rows_affected == 1 { Ok(()) } else { Err(DbErr::RecordNotUpdated.into()) }
}
