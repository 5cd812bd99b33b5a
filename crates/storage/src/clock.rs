//! The database's clock. Whatever replicas must agree on (expiry, leases) is decided by it, never by a process's own.

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr,
    sea_query::{Alias, Expr, ExprTrait as _, Query, SimpleExpr},
};
use shop_types::Instant;

use crate::StorageError;

/// Microseconds since the Unix epoch as an SQL expression, the form instants are stored in: when the statement began.
pub fn now(backend: DbBackend) -> SimpleExpr {
    Expr::cust(match backend {
        // In milliseconds; 'subsec' needs SQLite 3.42, the bundled one is newer.
        DbBackend::Sqlite => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
        DbBackend::Postgres => "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000000 AS BIGINT)",
        // UNIX_TIMESTAMP ends in 2038.
        _ => "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))",
    })
}

/// [`now`] plus a number of microseconds, which may be negative.
pub fn now_plus_micros(backend: DbBackend, micros: i64) -> SimpleExpr {
    now(backend).add(micros)
}

/// What the database's clock shows.
pub async fn read(connection: &impl ConnectionTrait) -> Result<Instant, StorageError> {
    let query = Query::select().expr_as(now(connection.get_database_backend()), Alias::new("now")).to_owned();
    let row = connection
        .query_one(&query)
        .await?
        .ok_or_else(|| DbErr::RecordNotFound("SELECT without a table gave no row".to_owned()))?;
    Ok(Instant::from_micros(row.try_get("", "now")?))
}
