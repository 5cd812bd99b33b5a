//! The storage crate through its public interface, on the engine that is tested; and what only a server can do to it.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod command;
mod commit;
mod cutter;
mod faults;
mod migrations;
mod tls;
mod writes;

use sea_orm::{ConnectionTrait, DbBackend};
use shop_storage::{Database, StorageError};
use shop_testing::TestDatabase;

const ENTRY: &str = "CREATE TABLE entry (id INTEGER PRIMARY KEY, text VARCHAR(100) NOT NULL)";

/// An open database of one test's own.
struct Fixture {
    database: Database,
    own: TestDatabase,
}

impl Fixture {
    async fn new() -> Self {
        let own = TestDatabase::new("test").await;
        let database = Database::open("test", &own.options()).await.unwrap();
        Self { database, own }
    }

    async fn with_table() -> Self {
        let fixture = Self::new().await;
        execute(&fixture.database, ENTRY).await.unwrap();
        fixture
    }

    fn is_sqlite(&self) -> bool {
        self.own.backend() == DbBackend::Sqlite
    }
}

async fn execute(database: &Database, sql: &str) -> Result<u64, StorageError> {
    let sql = sql.to_owned();
    database
        .write(move |transaction| {
            let sql = sql.clone();
            Box::pin(async move { Ok(transaction.execute_unprepared(&sql).await?.rows_affected()) })
        })
        .await
}

async fn insert(database: &Database, id: i32) -> Result<u64, StorageError> {
    execute(database, &format!("INSERT INTO entry VALUES ({id}, 'x')")).await
}

async fn count(connection: &impl ConnectionTrait) -> Result<i64, StorageError> {
    let statement =
        sea_orm::Statement::from_string(connection.get_database_backend(), "SELECT count(*) AS n FROM entry");
    let row = connection.query_one_raw(statement).await?.unwrap();
    Ok(row.try_get("", "n")?)
}
