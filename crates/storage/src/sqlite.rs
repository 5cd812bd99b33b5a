//! A SQLite file: the lock that keeps other processes out, and connections to it.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sea_orm::{
    DatabaseConnection, SqlxSqliteConnector,
    sqlx::{
        self, ConnectOptions as _, Connection as _,
        sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};

use crate::{DatabaseOptions, StorageError};

/// How long SQLite waits for a lock that another process holds (a backup, an audit), before it says BUSY.
const BUSY_BOUND: Duration = Duration::from_secs(5);

/// The lock of a SQLite file, held until this is dropped.
pub(crate) struct Lock(File);

impl Drop for Lock {
    /// To close the file would not do: a process that was forked meanwhile has it open, too, until it executes its program.
    fn drop(&mut self) {
        // What can't be unlocked is unlocked when the last of them has closed it.
        let _ = self.0.unlock();
    }
}

/// Takes the lock of a SQLite file: a file beside it, because closing any descriptor of the database file itself would
/// drop the locks that SQLite holds on it (<https://www.sqlite.org/howtocorrupt.html>, section 2.2).
pub(crate) fn lock(path: &Path) -> Result<Lock, StorageError> {
    let lock_path = PathBuf::from(format!("{}.lock", path.display()));
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(|error| failed(path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(StorageError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(path, source)),
    }
}

/// Makes the file where there is none, for its owner alone: SQLite would follow the umask, and gives its log the mode of
/// the file.
pub(crate) fn keep_private(path: &Path) -> Result<(), StorageError> {
    let made = File::options().create(true).append(true).mode(0o600).open(path);
    made.map(drop).map_err(|error| failed(path, error))
}

/// Fails where there is no file.
pub(crate) fn exists(path: &Path) -> Result<(), StorageError> {
    fs::metadata(path).map(drop).map_err(|error| failed(path, error))
}

/// The one connection that writes.
pub(crate) async fn writer(path: &Path, options: &DatabaseOptions) -> Result<DatabaseConnection, StorageError> {
    connect(path, 1, false, options).await
}

/// Connections that can't write, for reading beside the process that does.
pub(crate) async fn readers(path: &Path, options: &DatabaseOptions) -> Result<DatabaseConnection, StorageError> {
    connect(path, options.database_readers, true, options).await
}

async fn connect(
    path: &Path,
    connections: u32,
    read_only: bool,
    options: &DatabaseOptions,
) -> Result<DatabaseConnection, StorageError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(options.database_acquire_timeout)
        // A connection to a file does not go stale; the default would ask it before each use.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_release(|connection, _| Box::pin(is_at_rest(connection)))
        .connect_with(connect_options(path, read_only))
        .await;
    let pool = pool.map_err(|error| failed(path, std::io::Error::other(error)))?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

/// Whether a connection may be used again. When a commit fails (disk full, I/O), SQLite has already ended the transaction,
/// but sqlx still counts it as open: the next "transaction" on that connection would be a savepoint that never commits,
/// and its caller would be told that it did. The ping lets a rollback that waits run first.
async fn is_at_rest(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// A commit is on disk before it is acknowledged (`FULL`), readers don't wait for the writer (WAL), and keys are enforced.
pub(crate) fn connect_options(path: &Path, read_only: bool) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(!read_only)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_BOUND)
        .disable_statement_logging();
    if read_only { options.pragma("query_only", "ON") } else { options }
}

/// SQLite says only "unable to open database file"; the file is what its reader needs to know.
pub(crate) fn failed(path: &Path, source: std::io::Error) -> StorageError {
    StorageError::File { path: path.to_owned(), source: Arc::new(source) }
}
