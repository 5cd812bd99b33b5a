//! One writer for a SQLite database, which commits in groups.
//!
//! SQLite has one writer at a time anyway, and a durable commit costs a flush to disk. So writes queue for a single task
//! that opens a transaction, runs every waiting write in a savepoint of its own, and commits once for all of them: a
//! group costs one flush, and a write that fails undoes only itself. A caller hears of its write after that commit.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait as _,
};
use tokio::sync::{mpsc, oneshot};

use crate::{StorageError, WriteError};

/// Writes that may wait. Each is a request in flight, whose number the server bounds well below this.
const QUEUE: usize = 4096;
/// Writes of one commit at most: beyond this the flush no longer dominates and the first of the group waits for nothing.
const MAX_GROUP: usize = 64;
/// How long the statements of one write may take before it is given up: a write holds up every other.
pub(crate) const WRITE_BOUND: Duration = Duration::from_secs(10);

/// A write in the queue: what it runs, and who waits for it.
trait Job: Send {
    /// Runs the write; true when its changes are to be kept.
    fn run<'a>(&'a mut self, transaction: &'a DatabaseTransaction) -> BoxFuture<'a, bool>;
    /// Answers the caller. An error means that the commit failed, whatever the write itself said.
    fn settle(self: Box<Self>, commit: Result<(), StorageError>);
}

struct Write<F, T, E> {
    run: F,
    outcome: Option<Result<T, E>>,
    caller: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Write<F, T, E>
where
    F: for<'t> Fn(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, E>> + Send,
    T: Send,
    E: WriteError,
{
    fn run<'a>(&'a mut self, transaction: &'a DatabaseTransaction) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let guarded = AssertUnwindSafe((self.run)(transaction)).catch_unwind();
            let outcome = match tokio::time::timeout(WRITE_BOUND, guarded).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_panic)) => Err(E::from(StorageError::Panicked)),
                Err(_elapsed) => Err(E::from(StorageError::TooSlow { bound_ms: WRITE_BOUND.as_millis() })),
            };
            let keep = outcome.is_ok();
            self.outcome = Some(outcome);
            keep
        })
    }

    fn settle(self: Box<Self>, commit: Result<(), StorageError>) {
        let answer = match (self.outcome, commit) {
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(E::from(error)),
            (Some(outcome), Ok(())) => outcome,
            (None, Ok(())) => Err(E::from(StorageError::Closed)),
        };
        // The caller may have gone; the write counts all the same.
        let _gone = self.caller.send(answer);
    }
}

/// The way to the writer task.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
}

impl Writer {
    /// Starts the task. It ends, after the writes that wait, when the last `Writer` is gone.
    pub(crate) fn start(connection: DatabaseConnection) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, jobs) = mpsc::channel(QUEUE);
        (Self { queue }, tokio::spawn(work(connection, jobs)))
    }

    pub(crate) async fn write<F, T, E>(&self, write: F) -> Result<T, E>
    where
        F: for<'t> Fn(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: WriteError,
    {
        let (caller, answer) = oneshot::channel();
        let job = Box::new(Write { run: write, outcome: None, caller });
        self.queue.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StorageError::Busy,
            mpsc::error::TrySendError::Closed(_) => StorageError::Closed,
        })?;
        answer.await.unwrap_or_else(|_| Err(E::from(StorageError::Closed)))
    }
}

async fn work(connection: DatabaseConnection, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    let mut group = Vec::with_capacity(MAX_GROUP);
    while jobs.recv_many(&mut group, MAX_GROUP).await > 0 {
        commit_group(&connection, &mut group).await;
    }
}

/// Runs a group in one transaction and answers its callers. Leaves `group` empty.
async fn commit_group(connection: &DatabaseConnection, group: &mut Vec<Box<dyn Job>>) {
    if group.len() > 1 {
        match run_group(connection, group).await {
            Ok(()) => {
                group.drain(..).for_each(|job| job.settle(Ok(())));
                return;
            }
            // The lock can't be had. Every write of the group would wait for it as long again, and hold up the rest.
            Err(Unfinished::NotBegun(error)) => {
                let error = StorageError::from(error);
                group.drain(..).for_each(|job| job.settle(Err(error.clone())));
                return;
            }
            // SQLite undoes a whole transaction on some errors (disk full, I/O). Nothing was committed, so each write
            // runs again alone, and only those that the error concerns fail.
            Err(Unfinished::Undone(error)) => {
                tracing::warn!(error = %error, writes = group.len(), "a group of writes fell apart; each runs alone");
            }
        }
    }
    for mut job in group.drain(..) {
        let committed = run_alone(connection, job.as_mut()).await;
        job.settle(committed.map_err(StorageError::from));
    }
}

/// How far a group came that was not committed.
enum Unfinished {
    NotBegun(DbErr),
    Undone(DbErr),
}

impl From<DbErr> for Unfinished {
    fn from(error: DbErr) -> Self {
        Self::Undone(error)
    }
}

async fn run_group(connection: &DatabaseConnection, group: &mut [Box<dyn Job>]) -> Result<(), Unfinished> {
    let transaction = begin(connection).await.map_err(Unfinished::NotBegun)?;
    for job in group {
        let savepoint = transaction.begin().await?;
        if job.run(&savepoint).await { savepoint.commit().await? } else { savepoint.rollback().await? }
    }
    Ok(transaction.commit().await?)
}

async fn run_alone(connection: &DatabaseConnection, job: &mut dyn Job) -> Result<(), DbErr> {
    let transaction = begin(connection).await?;
    if job.run(&transaction).await { transaction.commit().await } else { transaction.rollback().await }
}

/// IMMEDIATE takes the write lock at once: a transaction that first reads and then writes would otherwise fail with
/// `SQLITE_BUSY_SNAPSHOT` when another process wrote in between, whatever the busy time-out.
async fn begin(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    connection.begin_with_options(options).await
}
