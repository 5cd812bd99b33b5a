//! The lock that lets one migration of a server's database run at a time.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, Statement, TransactionTrait as _,
};

use crate::{StorageError, fault::Fault};

/// How long a migration waits for another: longer than most take, and bounded, since a job has a deadline of its own.
const WAIT_BOUND: Duration = Duration::from_mins(10);
/// The advisory lock in a database of PostgreSQL: any number, always the same.
const KEY: i64 = 0x73_68_6f_70_6d_69_67_72;

/// The lock, held until it is released or its connection is gone.
///
/// Its connection does nothing else and is never given back while the lock is held: the open transaction keeps it. Were it
/// lost, another migration could begin, and the two would do the same steps; each is safe to repeat.
pub(super) struct Lock {
    pool: DatabaseConnection,
    transaction: DatabaseTransaction,
}

impl Lock {
    /// Takes the lock on the one connection of `pool`, once whoever has it lets go.
    pub(super) async fn take(pool: DatabaseConnection) -> Result<Self, StorageError> {
        let transaction = pool.begin().await?;
        let taken = match pool.get_database_backend() {
            DbBackend::Postgres => take_postgres(&transaction).await?,
            _ => take_mysql(&transaction).await?,
        };
        if taken { Ok(Self { pool, transaction }) } else { Err(StorageError::Migrating { waited: WAIT_BOUND }) }
    }

    /// Lets go by closing the connection: MySQL's lock outlives the transaction.
    pub(super) async fn release(self) -> Result<(), StorageError> {
        self.transaction.rollback().await?;
        Ok(self.pool.close().await?)
    }
}

async fn take_postgres(transaction: &DatabaseTransaction) -> Result<bool, StorageError> {
    let bound = WAIT_BOUND.as_millis();
    transaction.execute_unprepared(&format!("SET LOCAL lock_timeout = {bound}")).await?;
    let statement = Statement::from_string(DbBackend::Postgres, format!("SELECT pg_advisory_xact_lock({KEY})"));
    match transaction.execute_raw(statement).await {
        Ok(_) => Ok(true),
        Err(error) if Fault::of(&error) == Fault::Conflict => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Locks of MySQL are the whole server's, and their names have at most 64 characters.
async fn take_mysql(transaction: &DatabaseTransaction) -> Result<bool, StorageError> {
    let bound = WAIT_BOUND.as_secs();
    let sql = format!("SELECT GET_LOCK(CONCAT('shop-migrate-', MD5(DATABASE())), {bound}) AS taken");
    let row = transaction.query_one_raw(Statement::from_string(DbBackend::MySql, sql)).await?;
    let taken: Option<i64> = row.map(|row| row.try_get("", "taken")).transpose()?.flatten();
    Ok(taken == Some(1))
}
