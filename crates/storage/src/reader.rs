//! Connections for reading: each statement has a bound, and one that found its connection dead is asked again.

use std::{future::Future, time::Duration};

use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement,
};
use sea_orm_migration::async_trait;

use crate::fault::Fault;

/// What the answer may take on its way, beyond what the server itself gives a statement.
const GRACE: Duration = Duration::from_secs(1);

/// Reads from a database. A write fails.
#[derive(Debug, Clone)]
pub struct Reader {
    connection: DatabaseConnection,
    bound: Duration,
    attempts: u32,
}

impl Reader {
    /// `connections` is the size of the pool: when all of it is dead, the attempt after makes a new one.
    pub(crate) fn new(connection: DatabaseConnection, connections: u32, bound: Duration) -> Self {
        Self { connection, bound: bound + GRACE, attempts: connections + 1 }
    }

    pub(crate) fn connection(&self) -> &DatabaseConnection {
        &self.connection
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
        self.connection.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.ask(|| self.connection.execute_raw(statement.clone())).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.ask(|| self.connection.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.ask(|| self.connection.query_one_raw(statement.clone())).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.ask(|| self.connection.query_all_raw(statement.clone())).await
    }
}
