//! An open database: a pool for reads, one grouped writer, and for SQLite the lock that keeps other processes out.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use sea_orm::{
    ConnectOptions, DatabaseConnection, DatabaseTransaction, DbErr,
    sqlx::{
        self, Connection as _,
        sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous},
    },
};
use tokio::task::JoinHandle;

use crate::{DatabaseOptions, StorageError, writer::Writer};

/// How long a connection may take to be had. Readers turn over in milliseconds; waiting longer means trouble.
const ACQUIRE_BOUND: Duration = Duration::from_secs(5);
/// How long SQLite waits for a lock that another process holds (a backup, an audit), before it says BUSY.
const BUSY_BOUND: Duration = Duration::from_secs(5);

/// An open database of one service. Clones share it; [`Database::close`] ends it for all of them.
#[derive(Clone)]
pub struct Database {
    reader: DatabaseConnection,
    writing: DatabaseConnection,
    writer: Arc<Mutex<Option<Writer>>>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
    lock: Arc<Mutex<Option<File>>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Database")
    }
}

impl Database {
    /// Opens the database of the service `name`, and makes the file where there is none. Fails at once with
    /// [`StorageError::Locked`] while another process has it.
    pub async fn open(name: &str, options: &DatabaseOptions) -> Result<Self, StorageError> {
        let path = options.sqlite_path(name)?;
        let lock = lock(&path)?;
        keep_private(&path)?;
        let writing = connect(&path, 1, false).await?;
        let reader = connect(&path, options.database_readers, true).await?;
        let (writer, task) = Writer::start(writing.clone());
        Ok(Self {
            reader,
            writing,
            writer: Arc::new(Mutex::new(Some(writer))),
            task: Arc::new(Mutex::new(Some(task))),
            lock: Arc::new(Mutex::new(Some(lock))),
        })
    }

    /// Connections for reading. A write through them fails.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// The only connection that writes. Migrations use it before the service starts; everything else goes through
    /// [`Database::write`].
    pub(crate) fn writing(&self) -> &DatabaseConnection {
        &self.writing
    }

    /// Runs one write transaction and returns once it is durable.
    ///
    /// Writes that wait together are committed together. An error undoes this write alone. The closure may run more than
    /// once, so it has no effect beyond the transaction, and it waits for nothing but the transaction, since it holds up
    /// every other write. It runs to its end even if the caller stops waiting.
    pub async fn write<F, T, E>(&self, write: F) -> Result<T, E>
    where
        F: for<'t> Fn(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let writer = self.writer.lock().clone().ok_or(StorageError::Closed)?;
        writer.write(write).await
    }

    /// Finishes the writes that wait, closes every connection and lets go of the file. Later uses fail with
    /// [`StorageError::Closed`].
    pub async fn close(&self) -> Result<(), StorageError> {
        drop(self.writer.lock().take());
        let task = self.task.lock().take();
        if let Some(task) = task {
            let _panicked = task.await;
        }
        self.reader.clone().close().await?;
        self.writing.clone().close().await?;
        drop(self.lock.lock().take());
        Ok(())
    }
}

/// Opens the database of the service `name` for reading beside a process that may be using it.
pub async fn open_reader(name: &str, options: &DatabaseOptions) -> Result<DatabaseConnection, StorageError> {
    let path = options.sqlite_path(name)?;
    if let Err(source) = fs::metadata(&path) {
        return Err(StorageError::File { path, source: Arc::new(source) });
    }
    connect(&path, options.database_readers, true).await
}

/// Takes the lock of a SQLite file: a file beside it, because closing any descriptor of the database file itself would
/// drop the locks that SQLite holds on it (<https://www.sqlite.org/howtocorrupt.html>, section 2.2).
fn lock(path: &Path) -> Result<File, StorageError> {
    let lock_path = PathBuf::from(format!("{}.lock", path.display()));
    let failed = |source| StorageError::File { path: path.to_owned(), source: Arc::new(source) };
    let file = File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StorageError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Makes the file where there is none, for its owner alone: SQLite would follow the umask, and gives its log the mode of
/// the file.
fn keep_private(path: &Path) -> Result<(), StorageError> {
    let made = File::options().create(true).append(true).mode(0o600).open(path);
    made.map(drop).map_err(|source| StorageError::File { path: path.to_owned(), source: Arc::new(source) })
}

async fn connect(path: &Path, connections: u32, read_only: bool) -> Result<DatabaseConnection, StorageError> {
    let filename = path.to_owned();
    let mut options = ConnectOptions::new("sqlite::memory:");
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(ACQUIRE_BOUND)
        // A connection to a file does not go stale; the default would ask it before each use.
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_pool_opts(|pool| {
            let pool = pool.idle_timeout(None).max_lifetime(None);
            pool.after_release(|connection, _| Box::pin(is_at_rest(connection)))
        })
        .map_sqlx_sqlite_opts(move |_placeholder| sqlite_options(&filename, read_only));
    sea_orm::Database::connect(options).await.map_err(|error| open_error(path, error))
}

/// Whether a connection may be used again. When a commit fails (disk full, I/O), SQLite has already ended the transaction,
/// but sqlx still counts it as open: the next "transaction" on that connection would be a savepoint that never commits,
/// and its caller would be told that it did. The ping lets a rollback that waits run first.
async fn is_at_rest(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// A commit is on disk before it is acknowledged (`FULL`), readers don't wait for the writer (WAL), and keys are enforced.
fn sqlite_options(path: &Path, read_only: bool) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(!read_only)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_BOUND);
    if read_only { options.pragma("query_only", "ON") } else { options }
}

/// SQLite says only "unable to open database file"; the file is what its reader needs to know.
fn open_error(path: &Path, error: DbErr) -> StorageError {
    match error {
        DbErr::Conn(_) => StorageError::File { path: path.to_owned(), source: Arc::new(std::io::Error::other(error)) },
        other => StorageError::from(other),
    }
}
