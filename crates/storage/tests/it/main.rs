//! What only SQLite has: one writer that commits in groups, files and their locks.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod locks;
mod reads;
mod writes;

use sea_orm::ConnectionTrait;
use shop_storage::{Database, DatabaseOptions, StorageError};
use tempfile::TempDir;

/// A database in a folder of its own.
struct Fixture {
    folder: TempDir,
    database: Database,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open("test", &options(&folder)).await.unwrap();
        Self { folder, database }
    }

    async fn with_table() -> Self {
        let fixture = Self::new().await;
        execute(&fixture.database, "CREATE TABLE entry (id INTEGER PRIMARY KEY, text TEXT NOT NULL)").await.unwrap();
        fixture
    }
}

fn options(folder: &TempDir) -> DatabaseOptions {
    DatabaseOptions::sqlite_file(&folder.path().join("test.db"))
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

async fn count(connection: &impl ConnectionTrait) -> i64 {
    let statement =
        sea_orm::Statement::from_string(connection.get_database_backend(), "SELECT count(*) AS n FROM entry");
    connection.query_one_raw(statement).await.unwrap().unwrap().try_get("", "n").unwrap()
}
