//! Rows whose key may be taken.

use sea_orm::{
    ConnectionTrait, DbBackend, QueryTrait,
    sea_query::{InsertStatement, OnConflict},
};

use crate::StorageError;

/// Adds a row; false when one of its keys is taken. The transaction goes on either way: after a statement that fails,
/// PostgreSQL would do nothing more in it.
pub async fn insert_new(
    connection: &impl ConnectionTrait,
    insert: impl QueryTrait<QueryStatement = InsertStatement>,
) -> Result<bool, StorageError> {
    let mut insert = insert.into_query();
    // MySQL undoes only the statement that fails, and its IGNORE would pass over other errors, too.
    if connection.get_database_backend() != DbBackend::MySql {
        insert.on_conflict(OnConflict::new().do_nothing().to_owned());
    }
    match connection.execute(&insert).await.map_err(StorageError::from) {
        Ok(done) => Ok(done.rows_affected() == 1),
        Err(error) if error.is_unique_violation() => Ok(false),
        Err(error) => Err(error),
    }
}
