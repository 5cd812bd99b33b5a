//! Connections for reading: each statement has a bound, and one that found its connection dead is asked again.

use std::{future::Future, sync::Arc, time::Duration};

use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement,
};
use sea_orm_migration::async_trait;

use crate::{fault::Fault, file_readers::FileReaders};

/// What the answer may take on its way, beyond what the server itself gives a statement.
const GRACE: Duration = Duration::from_secs(1);

/// Reads from a database. A write fails.
#[derive(Debug, Clone)]
pub struct Reader {
    source: Source,
    bound: Duration,
    attempts: u32,
}

/// Where connections come from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A SQLite file.
    File(Arc<FileReaders>),
    /// A pool of connections to a server.
    Server(DatabaseConnection),
}

impl Reader {
    /// `connections` is how many there may be: when all of them are dead, the attempt after makes a new one.
    pub(crate) fn new(source: Source, connections: u32, bound: Duration) -> Self {
        Self { source, bound: bound + GRACE, attempts: connections + 1 }
    }

    pub(crate) async fn close(&self) -> Result<(), DbErr> {
        match &self.source {
            Source::File(readers) => readers.close().await,
            Source::Server(pool) => pool.close_by_ref().await,
        }
    }

    async fn ask<T, F: Future<Output = Result<T, DbErr>>>(&self, question: impl Fn() -> F) -> Result<T, DbErr> {
        let asked = async {
            for _ in 1..self.attempts {
                match question().await {
                    Err(error) if Fault::of(&error) == Fault::Lost => {
                        tracing::debug!(error = %error, "a connection was dead; reading through another");
                    }
                    answered => return answered,
                }
            }
            question().await
        };
        // No answer is what an exhausted pool gives, too: later, perhaps.
        let silent = |_elapsed| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout);
        tokio::time::timeout(self.bound, asked).await.map_err(silent)?
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        match &self.source {
            Source::File(_) => DbBackend::Sqlite,
            Source::Server(pool) => pool.get_database_backend(),
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match &self.source {
            Source::File(readers) => self.ask(|| readers.execute(&statement)).await,
            Source::Server(pool) => self.ask(|| pool.execute_raw(statement.clone())).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.source {
            Source::File(readers) => self.ask(|| readers.execute_unprepared(sql)).await,
            Source::Server(pool) => self.ask(|| pool.execute_unprepared(sql)).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &self.source {
            Source::File(readers) => self.ask(|| readers.query_one(&statement)).await,
            Source::Server(pool) => self.ask(|| pool.query_one_raw(statement.clone())).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &self.source {
            Source::File(readers) => self.ask(|| readers.query_all(&statement)).await,
            Source::Server(pool) => self.ask(|| pool.query_all_raw(statement.clone())).await,
        }
    }
}
