//! The database's clock. Whatever replicas must agree on (expiry, leases) is decided by it, never by a process's own.

use sea_orm::{
    ConnectionTrait, DbErr,
    sea_query::{Alias, Expr, ExprTrait as _, Query, SimpleExpr},
};
use shop_types::Instant;

use crate::StorageError;

/// Microseconds since the Unix epoch as an SQL expression, the form instants are stored in. SQLite's clock ticks in
/// milliseconds; `'subsec'` needs 3.42, the bundled one is newer.
pub fn now() -> SimpleExpr {
    Expr::cust("CAST(unixepoch('subsec') * 1000000 AS INTEGER)")
}

/// [`now`] plus a number of microseconds, which may be negative.
pub fn now_plus_micros(micros: i64) -> SimpleExpr {
    now().add(micros)
}

/// What the database's clock shows.
pub async fn read(connection: &impl ConnectionTrait) -> Result<Instant, StorageError> {
    let query = Query::select().expr_as(now(), Alias::new("now")).to_owned();
    let row = connection
        .query_one(&query)
        .await?
        .ok_or_else(|| DbErr::RecordNotFound("SELECT without a table gave no row".to_owned()))?;
    Ok(Instant::from_micros(row.try_get("", "now")?))
}
