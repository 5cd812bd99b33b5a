//! Queries that look for broken invariants. Each is one statement, so it sees one state of the database.

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbBackend, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
    sea_query::{CaseStatement, Expr, ExprTrait as _, Func, JoinType, Query, SelectStatement, SimpleExpr},
};
use shop_storage::StorageError;
use shop_types::{Instant, Uuid};

use super::entity::{ledger, reservation, reservation_line, stock};
use crate::audit::{LedgerFinding, ReservationRecord, StockFinding};

/// Names of the derived tables and their sums.
const LEDGER: &str = "ledger_sums";
const HELD: &str = "held_sums";
const TOTAL: &str = "total";

/// Stock rows, by product id, that do not add up within themselves, to their ledger or to what is held.
pub(crate) async fn stock(connection: &impl ConnectionTrait, limit: u64) -> Result<Vec<StockFinding>, StorageError> {
    let column = |column: stock::Column| Expr::col((stock::Entity, column));
    let total = |table| total(table, connection.get_database_backend());
    let query = Query::select()
        .expr_as(column(stock::Column::ProductId), "product_id")
        .expr_as(column(stock::Column::OnHand), "on_hand")
        .expr_as(column(stock::Column::Available), "available")
        .expr_as(column(stock::Column::Reserved), "reserved")
        .expr_as(total(LEDGER), "ledger")
        .expr_as(total(HELD), "held")
        .from(stock::Entity)
        .join_subquery(
            JoinType::LeftJoin,
            ledger_by_product(),
            LEDGER,
            Expr::col((LEDGER, "product_id")).equals((stock::Entity, stock::Column::ProductId)),
        )
        .join_subquery(
            JoinType::LeftJoin,
            held_by_product(),
            HELD,
            Expr::col((HELD, "product_id")).equals((stock::Entity, stock::Column::ProductId)),
        )
        .cond_where(
            column(stock::Column::OnHand)
                .ne(column(stock::Column::Available).add(column(stock::Column::Reserved)))
                .or(column(stock::Column::OnHand).ne(total(LEDGER)))
                .or(column(stock::Column::Reserved).ne(total(HELD))),
        )
        .order_by((stock::Entity, stock::Column::ProductId), sea_orm::Order::Asc)
        .limit(limit)
        .to_owned();
    let rows = connection.query_all(&query).await?;
    rows.iter()
        .map(|row| {
            Ok(StockFinding {
                product_id: row.try_get("", "product_id")?,
                on_hand: row.try_get("", "on_hand")?,
                available: row.try_get("", "available")?,
                reserved: row.try_get("", "reserved")?,
                ledger: row.try_get("", "ledger")?,
                held: row.try_get("", "held")?,
            })
        })
        .collect()
}

/// The sum of a derived table that may have no row. The servers make decimals of sums: it is an integer again.
fn total(table: &'static str, backend: DbBackend) -> SimpleExpr {
    let integer = match backend {
        DbBackend::Sqlite => "INTEGER",
        DbBackend::Postgres => "BIGINT",
        _ => "SIGNED",
    };
    Func::cast_as(Func::coalesce([Expr::col((table, TOTAL)), Expr::val(0i64)]), integer).into()
}

fn ledger_by_product() -> SelectStatement {
    Query::select()
        .expr_as(Expr::col(ledger::Column::ProductId), "product_id")
        .expr_as(Func::sum(Expr::col(ledger::Column::Delta)), TOTAL)
        .from(ledger::Entity)
        .group_by_col(ledger::Column::ProductId)
        .to_owned()
}

fn held_by_product() -> SelectStatement {
    let product_id = (reservation_line::Entity, reservation_line::Column::ProductId);
    Query::select()
        .expr_as(Expr::col(product_id), "product_id")
        .expr_as(Func::sum(Expr::col((reservation_line::Entity, reservation_line::Column::Quantity))), TOTAL)
        .from(reservation::Entity)
        .inner_join(
            reservation_line::Entity,
            Expr::col((reservation_line::Entity, reservation_line::Column::OrderId))
                .equals((reservation::Entity, reservation::Column::OrderId)),
        )
        .and_where(state_is(reservation::State::Held))
        .group_by_col(product_id)
        .to_owned()
}

fn state_is(state: reservation::State) -> SimpleExpr {
    reservation::Column::State.eq(state)
}

/// Lines whose ledger rows are not what the reservation's state says: a committed line is out of stock once, any other
/// line on balance not at all.
pub(crate) async fn ledger(connection: &impl ConnectionTrait, limit: u64) -> Result<Vec<LedgerFinding>, StorageError> {
    let line = |column: reservation_line::Column| Expr::col((reservation_line::Entity, column));
    let total = |table| total(table, connection.get_database_backend());
    let expected: SimpleExpr = CaseStatement::new()
        .case(state_is(reservation::State::Committed), Expr::val(0i64).sub(line(reservation_line::Column::Quantity)))
        .finally(0i64)
        .into();
    let sums = Query::select()
        .expr_as(Expr::col(ledger::Column::OrderId), "order_id")
        .expr_as(Expr::col(ledger::Column::ProductId), "product_id")
        .expr_as(Func::sum(Expr::col(ledger::Column::Delta)), TOTAL)
        .from(ledger::Entity)
        .and_where(ledger::Column::OrderId.is_not_null())
        .group_by_columns([ledger::Column::OrderId, ledger::Column::ProductId])
        .to_owned();
    let query = Query::select()
        .expr_as(line(reservation_line::Column::OrderId), "order_id")
        .expr_as(line(reservation_line::Column::ProductId), "product_id")
        .expr_as(Expr::col((reservation::Entity, reservation::Column::State)), "state")
        .expr_as(expected.clone(), "expected")
        .expr_as(total(LEDGER), "found")
        .from(reservation_line::Entity)
        .inner_join(
            reservation::Entity,
            line(reservation_line::Column::OrderId).equals((reservation::Entity, reservation::Column::OrderId)),
        )
        .join_subquery(
            JoinType::LeftJoin,
            sums,
            LEDGER,
            Expr::col((LEDGER, "order_id")).equals((reservation_line::Entity, reservation_line::Column::OrderId)).and(
                Expr::col((LEDGER, "product_id"))
                    .equals((reservation_line::Entity, reservation_line::Column::ProductId)),
            ),
        )
        .and_where(total(LEDGER).ne(expected))
        .limit(limit)
        .to_owned();
    let rows = connection.query_all(&query).await?;
    rows.iter()
        .map(|row| {
            Ok(LedgerFinding {
                order_id: row.try_get("", "order_id")?,
                product_id: row.try_get("", "product_id")?,
                state: row.try_get::<reservation::State>("", "state")?.into(),
                expected: row.try_get("", "expected")?,
                found: row.try_get("", "found")?,
            })
        })
        .collect()
}

/// Reservations after an order id, in that order, with their lines. These never change, so two statements agree.
pub(crate) async fn reservations(
    connection: &impl ConnectionTrait,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<ReservationRecord>, StorageError> {
    let mut query = reservation::Entity::find().order_by_asc(reservation::Column::OrderId).limit(limit);
    if let Some(after) = after {
        query = query.filter(reservation::Column::OrderId.gt(after));
    }
    let rows = query.all(connection).await?;
    let order_ids = rows.iter().map(|row| row.order_id);
    let mut lines: Vec<(Uuid, Uuid, i64)> = reservation_line::Entity::find()
        .select_only()
        .columns([
            reservation_line::Column::OrderId,
            reservation_line::Column::ProductId,
            reservation_line::Column::Quantity,
        ])
        .filter(reservation_line::Column::OrderId.is_in(order_ids))
        .order_by_asc(reservation_line::Column::OrderId)
        .order_by_asc(reservation_line::Column::ProductId)
        .into_tuple()
        .all(connection)
        .await?;
    let mut lines = lines.drain(..).peekable();
    let records = rows.into_iter().map(|row| ReservationRecord {
        order_id: row.order_id,
        state: row.state.into(),
        lines: std::iter::from_fn(|| lines.next_if(|line| line.0 == row.order_id))
            .map(|(_, product_id, quantity)| (product_id, quantity))
            .collect(),
        hold_until: row.hold_until.map(Instant::from_micros),
        changed_at: Instant::from_micros(row.changed_at),
    });
    Ok(records.collect())
}
