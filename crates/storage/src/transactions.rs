//! Writes on a database server: each a transaction of its own, READ COMMITTED, from a bounded pool.
//!
//! A write that ran into another (a deadlock, a lock that was waited for too long), or whose connection died before its
//! COMMIT was sent, left nothing behind and runs again. After a COMMIT without an answer nothing is known, and the caller
//! is told so.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::{FutureExt as _, future::BoxFuture};
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement, TransactionTrait as _,
};
use tokio::{
    sync::{Semaphore, TryAcquireError},
    time::{Instant, timeout},
};

use crate::{DatabaseOptions, StorageError, WriteError, fault::Fault, writer::WRITE_BOUND};

/// Writes that may run or wait for a connection. Each is a request in flight, whose number the server bounds well below.
const QUEUE: u32 = 4096;
/// How often a write that ran into others runs again: with pauses that grow, only a row that everyone wants needs so many.
const REPEATS: usize = 8;
/// The pauses between: about the length of a transaction first, and of a crowd of them at last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));
/// The answer to a COMMIT may take this long before it counts as lost: a disk that flushes slowly is still a disk.
const COMMIT_BOUND: Duration = Duration::from_secs(10);
/// The answer to a ROLLBACK; without it the connection is closed.
const ROLLBACK_BOUND: Duration = Duration::from_secs(2);

/// The way to write. Clones share it.
#[derive(Clone)]
pub(crate) struct Transactions {
    connection: DatabaseConnection,
    /// Every connection of the pool may be dead, and is thrown away when that is found.
    connections: usize,
    /// The pool bounds the wait for a connection; this bounds it and a BEGIN that is not answered.
    begin_bound: Duration,
    running: Arc<Semaphore>,
}

/// How a write did not come about.
enum Unwritten<E> {
    /// The caller's or the database's refusal: final.
    Refused(E),
    /// Nothing of it is there, and it may run again after a pause.
    Conflict(E),
    /// Nothing of it is there, and it may run again at once on another connection.
    Lost(E),
}

impl Transactions {
    pub(crate) fn new(connection: DatabaseConnection, options: &DatabaseOptions) -> Self {
        Self {
            connection,
            connections: options.database_writers as usize,
            begin_bound: options.database_acquire_timeout + options.database_statement_timeout,
            running: Arc::new(Semaphore::new(QUEUE as usize)),
        }
    }

    pub(crate) async fn write<F, T, E>(&self, write: F) -> Result<T, E>
    where
        F: for<'t> Fn(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: WriteError,
    {
        let permit = Arc::clone(&self.running).try_acquire_owned().map_err(|error| match error {
            TryAcquireError::NoPermits => StorageError::Busy,
            TryAcquireError::Closed => StorageError::Closed,
        })?;
        let writing = self.clone();
        // A task of its own, since a caller that goes must not leave it half done.
        let task = tokio::spawn(async move {
            let written = writing.repeat(&write).await;
            drop(permit);
            written
        });
        task.await.unwrap_or_else(|_| Err(E::from(StorageError::Panicked)))
    }

    /// Waits for the writes that run, and refuses later ones.
    pub(crate) async fn close(&self) {
        let _all = self.running.acquire_many(QUEUE).await;
        self.running.close();
    }

    async fn repeat<F, T, E>(&self, write: &F) -> Result<T, E>
    where
        F: for<'t> Fn(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, E>> + Sync,
        E: WriteError,
    {
        let begun = Instant::now();
        let (first, last) = PAUSES;
        let builder = ExponentialBuilder::default().with_min_delay(first).with_max_delay(last).with_jitter();
        let mut pauses = builder.with_max_times(REPEATS).build();
        let mut replacements = self.connections;
        loop {
            match self.attempt(write).await {
                Ok(written) => return Ok(written),
                Err(Unwritten::Lost(_)) if replacements > 0 && begun.elapsed() < WRITE_BOUND => replacements -= 1,
                Err(Unwritten::Conflict(error)) => match pauses.next() {
                    Some(pause) if begun.elapsed() + pause < WRITE_BOUND => tokio::time::sleep(pause).await,
                    _ => return Err(error),
                },
                Err(Unwritten::Refused(error) | Unwritten::Lost(error)) => return Err(error),
            }
        }
    }

    async fn attempt<F, T, E>(&self, write: &F) -> Result<T, Unwritten<E>>
    where
        F: for<'t> Fn(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, E>> + Sync,
        E: WriteError,
    {
        let too_slow = |bound: Duration| E::from(StorageError::TooSlow { bound_ms: bound.as_millis() });
        let stumbled = Arc::new(AtomicBool::new(false));
        let transaction = match timeout(self.begin_bound, self.begin(&stumbled)).await {
            Ok(begun) => begun.map_err(|error| unwritten(E::from(StorageError::from(error))))?,
            Err(_elapsed) => return Err(Unwritten::Refused(too_slow(self.begin_bound))),
        };
        let guarded = AssertUnwindSafe(write(&transaction)).catch_unwind();
        let written = match timeout(WRITE_BOUND, guarded).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_panic)) => Err(E::from(StorageError::Panicked)),
            // The connection is in the middle of a statement: it is dropped, and comes to rest or is closed.
            Err(_elapsed) => return Err(Unwritten::Refused(too_slow(WRITE_BOUND))),
        };
        let written = match written {
            Ok(written) if stumbled.load(Ordering::Relaxed) => {
                still_open(&transaction).await.map(|()| written).map_err(|error| E::from(StorageError::from(error)))
            }
            written => written,
        };
        match written {
            Ok(written) => commit(transaction).await.map(|()| written).map_err(unwritten),
            Err(error) => {
                // However it ends, nothing is committed; without an answer the connection is closed on its return.
                let _ = timeout(ROLLBACK_BOUND, transaction.rollback()).await;
                Err(unwritten(error))
            }
        }
    }

    /// `stumbled` is set when a statement of the transaction fails.
    async fn begin(&self, stumbled: &Arc<AtomicBool>) -> Result<DatabaseTransaction, DbErr> {
        let mut connection = self.connection.clone();
        let stumbled = Arc::clone(stumbled);
        connection.set_metric_callback(move |statement| {
            if statement.failed {
                stumbled.store(true, Ordering::Relaxed);
            }
        });
        connection.begin().await
    }
}

/// PostgreSQL answers a COMMIT of a transaction in which a statement failed with a ROLLBACK, and that is no error to the
/// driver: a write that went on after a failure would be told that it was committed. Any statement tells.
async fn still_open(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    match transaction.get_database_backend() {
        DbBackend::Postgres => {
            transaction.execute_raw(Statement::from_string(DbBackend::Postgres, "SELECT 1")).await.map(drop)
        }
        _ => Ok(()),
    }
}

async fn commit<E: WriteError>(transaction: DatabaseTransaction) -> Result<(), E> {
    let failed = match timeout(COMMIT_BOUND, transaction.commit()).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error,
        Err(_elapsed) => return Err(E::from(StorageError::CommitUnknown(None))),
    };
    Err(E::from(match Fault::of(&failed) {
        // The server says that it did not commit.
        Fault::Unique | Fault::Conflict => StorageError::from(failed),
        Fault::Lost | Fault::Busy | Fault::Wrong => StorageError::CommitUnknown(Some(Arc::new(failed))),
    }))
}

fn unwritten<E: WriteError>(error: E) -> Unwritten<E> {
    match error.storage().and_then(StorageError::fault) {
        Some(Fault::Conflict) => Unwritten::Conflict(error),
        Some(Fault::Lost) => Unwritten::Lost(error),
        _ => Unwritten::Refused(error),
    }
}
