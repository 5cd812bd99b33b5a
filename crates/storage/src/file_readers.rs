//! The connections that read a SQLite file.
//!
//! Between two reads they wait here and not in a pool of sqlx's. To that pool a connection goes back in a task of its own,
//! which asks the connection's thread whether all is well before anybody else gets it, and costs more than a read by key
//! does. That is prudence where a connection can break, or be left in a transaction. One to a file that only reads, and
//! has answered, is at rest; the others are dropped.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use sea_orm::{
    ConnAcquireErr, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Value,
    sea_query::Values,
    sqlx::{
        self, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Sqlite,
        query::Query,
        sqlite::{SqliteConnectOptions, SqliteConnection},
    },
};
use sea_query_sqlx::SqlxValues;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::error::Elapsed,
};

use crate::{DatabaseOptions, StorageError, sqlite};

/// Steps of SQLite's virtual machine between two looks at whether a statement is still wanted: less than a millisecond, and
/// more than a read by key takes.
const STEPS: i32 = 10_000;

/// As many connections as may read at once, made as they are needed.
pub(crate) struct FileReaders {
    options: SqliteConnectOptions,
    /// How long a connection may take to be had.
    wait: Duration,
    /// How long a statement may take.
    statement: Duration,
    size: u32,
    places: Semaphore,
    /// The one that was used last is used next: its cache and its thread are the warmest.
    idle: Mutex<Vec<Connection>>,
}

/// A connection. To drop it is to stop what it does: whoever asked has gone.
struct Connection {
    sqlite: SqliteConnection,
    unwanted: Unwanted,
}

/// Tells a connection's thread, when it is dropped, that nobody waits for its statement any more.
struct Unwanted(Arc<AtomicBool>);

impl Drop for Unwanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for FileReaders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileReaders")
    }
}

impl FileReaders {
    /// Makes one connection, to see that the file can be read.
    pub(crate) async fn open(path: &Path, options: &DatabaseOptions) -> Result<Self, StorageError> {
        let readers = Self {
            options: sqlite::connect_options(path, true),
            wait: options.database_acquire_timeout,
            statement: options.database_statement_timeout,
            size: options.database_readers,
            places: Semaphore::new(options.database_readers as usize),
            idle: Mutex::default(),
        };
        let first = readers.connect().await.map_err(|error| sqlite::failed(path, std::io::Error::other(error)))?;
        readers.idle.lock().push(first);
        Ok(readers)
    }

    pub(crate) async fn query_one(&self, statement: &Statement) -> Result<Option<QueryResult>, DbErr> {
        let (place, mut connection) = self.take().await?;
        let answer = self.in_time(connection.sqlite.fetch_optional(query(statement))).await?;
        self.give_back(connection, &answer);
        drop(place);
        Ok(answer.map_err(in_query)?.map(QueryResult::from))
    }

    pub(crate) async fn query_all(&self, statement: &Statement) -> Result<Vec<QueryResult>, DbErr> {
        let (place, mut connection) = self.take().await?;
        let answer = self.in_time(connection.sqlite.fetch_all(query(statement))).await?;
        self.give_back(connection, &answer);
        drop(place);
        Ok(answer.map_err(in_query)?.into_iter().map(QueryResult::from).collect())
    }

    /// Runs what is no query, and drops the connection: whatever was set or begun on it goes with it.
    pub(crate) async fn execute(&self, statement: &Statement) -> Result<ExecResult, DbErr> {
        let (_place, mut connection) = self.take().await?;
        Ok(self.in_time(connection.sqlite.execute(query(statement))).await?.map_err(in_execution)?.into())
    }

    /// [`FileReaders::execute`] for several statements in one text.
    pub(crate) async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let (_place, mut connection) = self.take().await?;
        Ok(self.in_time(connection.sqlite.execute(AssertSqlSafe(sql))).await?.map_err(in_execution)?.into())
    }

    /// Waits for the reads that are under way and closes every connection. Later reads fail.
    pub(crate) async fn close(&self) -> Result<(), DbErr> {
        let Ok(_all_places) = self.places.acquire_many(self.size).await else { return Ok(()) };
        self.places.close();
        let idle = std::mem::take(&mut *self.idle.lock());
        for Connection { sqlite, unwanted: _after_that } in idle {
            sqlite.close().await.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))?;
        }
        Ok(())
    }

    /// A connection, and the right to use one.
    async fn take(&self) -> Result<(SemaphorePermit<'_>, Connection), DbErr> {
        let taken = async {
            let closed = |_closed| DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed);
            let place = self.places.acquire().await.map_err(closed)?;
            let idle = self.idle.lock().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => self.connect().await.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))?,
            };
            Ok((place, connection))
        };
        tokio::time::timeout(self.wait, taken).await.map_err(too_late)?
    }

    /// What a statement gives in its time. After that whoever asked drops its connection, which ends it.
    async fn in_time<T>(&self, answer: impl Future<Output = T>) -> Result<T, DbErr> {
        tokio::time::timeout(self.statement, answer).await.map_err(too_late)
    }

    /// Keeps a connection for the next read, unless its thread is gone. The place is given up after that, so that whoever
    /// has waited for it finds the connection.
    fn give_back<T>(&self, connection: Connection, answer: &Result<T, sqlx::Error>) {
        if matches!(answer, Ok(_) | Err(sqlx::Error::Database(_))) {
            self.idle.lock().push(connection);
        }
    }

    async fn connect(&self) -> Result<Connection, sqlx::Error> {
        let mut sqlite = self.options.connect().await?;
        let unwanted = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&unwanted);
        sqlite.lock_handle().await?.set_progress_handler(STEPS, move || !seen.load(Ordering::Relaxed));
        Ok(Connection { sqlite, unwanted: Unwanted(unwanted) })
    }
}

/// A statement as the driver takes it, with its LIMIT written out: SQLite plans by what a LIMIT is, so that one that is bound
/// has the statement compiled anew each time.
fn query(statement: &Statement) -> Query<'static, Sqlite, SqlxValues> {
    let mut values = statement.values.clone().unwrap_or_else(|| Values(Vec::new()));
    let sql = match (statement.sql.strip_suffix('?'), values.0.last()) {
        (Some(head), Some(&Value::BigUnsigned(Some(limit)))) if head.ends_with(" LIMIT ") => {
            values.0.pop();
            format!("{head}{limit}")
        }
        _ => statement.sql.clone(),
    };
    sqlx::query_with(AssertSqlSafe(sql), SqlxValues(values))
}

/// Later, perhaps.
fn too_late(_: Elapsed) -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)
}

fn in_query(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

fn in_execution(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(Arc::new(error)))
}

#[cfg(test)]
mod tests {
    use sea_orm::{DbBackend, sqlx::Execute as _};

    use super::*;

    #[test]
    fn a_limit_is_written_out_and_nothing_else() {
        let of = |sql: &str, values: Vec<Value>| {
            let mut query = query(&Statement::from_sql_and_values(DbBackend::Sqlite, sql, values));
            let bound = query.take_arguments().unwrap().map_or(0, |values| sqlx::Arguments::len(&values));
            (query.sql().as_str().to_owned(), bound)
        };
        let limited = of("SELECT a FROM b WHERE c = ? LIMIT ?", vec![7_i64.into(), 1_u64.into()]);
        assert_eq!(limited, ("SELECT a FROM b WHERE c = ? LIMIT 1".to_owned(), 1));
        for (sql, values) in [
            ("SELECT a FROM b WHERE c = ?", vec![1_u64.into()]),
            ("SELECT a FROM b LIMIT ? OFFSET ?", vec![1_u64.into(), 2_u64.into()]),
            ("SELECT a FROM b LIMIT ?", vec![1_i64.into()]),
            ("SELECT a FROM b LIMIT 1", vec![]),
        ] {
            let bound = values.len();
            assert_eq!(of(sql, values), (sql.to_owned(), bound));
        }
    }
}
