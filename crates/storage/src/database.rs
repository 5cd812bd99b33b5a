//! An open database, whatever engine it is.

use std::{path::Path, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbBackend, IsolationLevel, TransactionTrait as _};
use tokio::task::JoinHandle;

use crate::{
    DatabaseOptions, Reader, StorageError, WriteError,
    file_readers::FileReaders,
    reader::Source,
    server::{self, Purpose},
    sqlite,
    transactions::Transactions,
    url::Engine,
    writer::Writer,
};

/// How long a command waits for a server that is not there: whoever typed it, or the job that runs it, tries again.
const COMMAND_BOUND: Duration = Duration::from_secs(30);
/// What connections get to say goodbye.
const CLOSE_BOUND: Duration = Duration::from_secs(5);

/// An open database of one service. Clones share it; [`Database::close`] ends it for all of them.
#[derive(Clone)]
pub struct Database {
    reader: Reader,
    writing: Writing,
    engine: Arc<Engine>,
    options: Arc<DatabaseOptions>,
}

#[derive(Clone)]
enum Writing {
    /// SQLite: one connection, whose writer commits in groups, and the lock that keeps other processes out.
    Grouped {
        connection: DatabaseConnection,
        writer: Arc<Mutex<Option<Writer>>>,
        task: Arc<Mutex<Option<JoinHandle<()>>>>,
        lock: Arc<Mutex<Option<sqlite::Lock>>>,
    },
    /// A server: a transaction each, from a pool.
    Pooled { connection: DatabaseConnection, transactions: Transactions },
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Database")
    }
}

impl Database {
    /// Opens the database of the service `name`.
    ///
    /// A SQLite file is made where there is none; it fails at once with [`StorageError::Locked`] while another process
    /// has it. A server that is not there yet is waited for, for as long as it takes: after a power cut everything starts
    /// at once, and a process that is alive and not ready serves sooner than one that is restarted with growing pauses.
    /// A server that answers and refuses is an error at once. Drop the future to stop waiting.
    pub async fn open(name: &str, options: &DatabaseOptions) -> Result<Self, StorageError> {
        Self::open_within(name, options, None).await
    }

    /// [`Database::open`] for a command, which waits half a minute for a server and then says why it can't go on.
    pub async fn open_for_command(name: &str, options: &DatabaseOptions) -> Result<Self, StorageError> {
        Self::open_within(name, options, Some(COMMAND_BOUND)).await
    }

    async fn open_within(name: &str, options: &DatabaseOptions, wait: Option<Duration>) -> Result<Self, StorageError> {
        let engine = options.engine(name)?;
        let (source, writing) = match &engine {
            Engine::Sqlite(path) => Self::open_file(path, options).await?,
            Engine::Server(server) => {
                server::wait_for(server, wait).await?;
                let connection = server::pool(server, Purpose::Write, options);
                let transactions = Transactions::new(connection.clone(), options);
                let readers = Source::Server(server::pool(server, Purpose::Read, options));
                (readers, Writing::Pooled { connection, transactions })
            }
        };
        let bound = options.database_acquire_timeout + options.database_statement_timeout;
        let reader = Reader::new(source, options.database_readers, bound);
        Ok(Self { reader, writing, engine: Arc::new(engine), options: Arc::new(options.clone()) })
    }

    async fn open_file(path: &Path, options: &DatabaseOptions) -> Result<(Source, Writing), StorageError> {
        let lock = sqlite::lock(path)?;
        sqlite::keep_private(path)?;
        let connection = sqlite::writer(path, options).await?;
        let readers = FileReaders::open(path, options).await?;
        let (writer, task) = Writer::start(connection.clone());
        let writing = Writing::Grouped {
            connection,
            writer: Arc::new(Mutex::new(Some(writer))),
            task: Arc::new(Mutex::new(Some(task))),
            lock: Arc::new(Mutex::new(Some(lock))),
        };
        Ok((Source::File(Arc::new(readers)), writing))
    }

    /// The kind of engine.
    pub fn backend(&self) -> DbBackend {
        self.engine.backend()
    }

    /// Connections for reading. A write through them fails.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// A connection that writes outside [`Database::write`]: for migrations, before the service starts.
    pub(crate) fn writing(&self) -> &DatabaseConnection {
        match &self.writing {
            Writing::Grouped { connection, .. } | Writing::Pooled { connection, .. } => connection,
        }
    }

    /// A connection of its own to the server, for a migration: one at a time, without a bound for statements. `None` for a
    /// file, which has one writer.
    pub(crate) fn migration_connection(&self) -> Option<DatabaseConnection> {
        match &*self.engine {
            Engine::Sqlite(_) => None,
            Engine::Server(server) => Some(server::pool(server, Purpose::Migrate, &self.options)),
        }
    }

    /// Runs one write transaction and returns once it is durable.
    ///
    /// An error of the closure undoes the write. The closure may run more than once, so it has no effect beyond the
    /// transaction. It runs to its end even if the caller stops waiting.
    ///
    /// On SQLite, writes run one after the other and those that wait together are committed together; the closure waits
    /// for nothing but the transaction, since it holds up every other write. On a server, writes run beside each other
    /// and READ COMMITTED: what the closure reads and decides upon it reads with `lock_exclusive()`, or changes by a
    /// conditional UPDATE. A write that ran into another runs again; one whose COMMIT got no answer is not repeated
    /// ([`StorageError::CommitUnknown`]). There the closure passes every error of a statement on: after one, PostgreSQL
    /// does nothing more in the transaction, and MySQL may have undone it. One that it does not pass on is noticed, unless
    /// it was of `execute_unprepared`, which is for migrations and tests. A key that may be taken is written with
    /// [`crate::insert_new`].
    pub async fn write<F, T, E>(&self, write: F) -> Result<T, E>
    where
        F: for<'t> Fn(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: WriteError,
    {
        match &self.writing {
            Writing::Grouped { writer, .. } => {
                let writer = writer.lock().clone().ok_or(StorageError::Closed)?;
                writer.write(write).await
            }
            Writing::Pooled { transactions, .. } => transactions.write(write).await,
        }
    }

    /// Finishes the writes that wait, closes every connection and lets go of the file. Later uses fail with
    /// [`StorageError::Closed`].
    pub async fn close(&self) -> Result<(), StorageError> {
        match &self.writing {
            Writing::Grouped { connection, writer, task, lock } => {
                drop(writer.lock().take());
                let task = task.lock().take();
                if let Some(task) = task {
                    let _panicked = task.await;
                }
                let (reading, writing) = (self.reader.close().await, connection.clone().close().await);
                drop(lock.lock().take());
                reading.and(writing)?;
            }
            Writing::Pooled { connection, transactions } => {
                transactions.close().await;
                let closed = async { tokio::join!(self.reader.close(), connection.close_by_ref()) };
                // A server that hangs is left without a goodbye.
                if let Ok((reading, writing)) = tokio::time::timeout(CLOSE_BOUND, closed).await {
                    reading.and(writing)?;
                }
            }
        }
        Ok(())
    }

    /// [`Database::close`] at the end of a process, where a failure can only be told.
    pub async fn leave(self) {
        if let Err(error) = self.close().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the database can't be closed");
        }
    }
}

/// Begins to read everything as it is at one moment, however long that takes; end it with a rollback. SQLite does so of
/// itself in a transaction.
pub async fn snapshot(connection: &DatabaseConnection) -> Result<DatabaseTransaction, StorageError> {
    let isolation = match connection.get_database_backend() {
        DbBackend::Sqlite => None,
        _ => Some(IsolationLevel::RepeatableRead),
    };
    Ok(connection.begin_with_config(isolation, None).await?)
}

/// Opens the database of the service `name` for reading beside a process that may be using it.
pub async fn open_reader(name: &str, options: &DatabaseOptions) -> Result<DatabaseConnection, StorageError> {
    match options.engine(name)? {
        Engine::Sqlite(path) => {
            sqlite::exists(&path)?;
            sqlite::readers(&path, options).await
        }
        Engine::Server(server) => {
            server::wait_for(&server, Some(COMMAND_BOUND)).await?;
            Ok(server::pool(&server, Purpose::Read, options))
        }
    }
}
