//! Reads of a file: on as many connections as may be, which serve again and again, and are stopped when nobody waits.

use std::{future::Future, path::PathBuf, time::Duration};

use futures::poll;
use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, QueryResult, Statement, Value, prelude::Uuid};
use serde_json::json;
use shop_storage::{Database, DatabaseOptions, StorageError};

use crate::{Fixture, count, execute, options};

/// Far longer than anything here takes.
const BOUND: Duration = Duration::from_secs(30);
/// Never comes to an end.
const ENDLESS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS n FROM n";

/// A fixture whose database has so many connections for reading.
async fn with_readers(database_readers: u32) -> Fixture {
    let fixture = Fixture::with_table().await;
    fixture.database.close().await.unwrap();
    let options = DatabaseOptions { database_readers, ..options(&fixture.folder) };
    Fixture { database: Database::open("test", &options).await.unwrap(), ..fixture }
}

fn one<'d>(database: &'d Database, sql: &str) -> impl Future<Output = Result<Option<QueryResult>, DbErr>> + use<'d> {
    database.reader().query_one_raw(Statement::from_string(DbBackend::Sqlite, sql))
}

/// Connections to the file: each has opened the log once. (Of the file itself SQLite keeps descriptors for later.)
fn connections(fixture: &Fixture) -> usize {
    let log: PathBuf = fixture.folder.path().join("test.db-wal");
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    open.filter(|entry| std::fs::read_link(entry.as_ref().unwrap().path()).is_ok_and(|target| target == log)).count()
}

async fn has_connections(fixture: &Fixture, expected: usize) {
    let so_many = async {
        while connections(fixture) != expected {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(BOUND, so_many).await.is_ok(), "{} are open", connections(fixture));
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_is_stopped() {
    let fixture = with_readers(1).await;
    for _ in 0..3 {
        let mut read = Box::pin(one(&fixture.database, ENDLESS));
        assert!(poll!(&mut read).is_pending());
        drop(read);
        // Its place is free at once, and the thread that was at it ends.
        assert_eq!(count(fixture.database.reader()).await, 0);
        has_connections(&fixture, 2).await;
    }
}

#[tokio::test]
async fn as_many_read_at_once_as_may() {
    let fixture = with_readers(3).await;
    let reads = (0..100).map(|_| {
        let database = fixture.database.clone();
        tokio::spawn(async move { count(database.reader()).await })
    });
    for read in futures::future::join_all(reads).await {
        assert_eq!(read.unwrap(), 0);
    }
    // The writer's is one more.
    assert_eq!(connections(&fixture), 4);
}

/// The same file with one reader and these bounds: for a connection, and for a statement.
async fn reopened(fixture: &Fixture, acquire: Duration, statement: Duration) -> Database {
    fixture.database.close().await.unwrap();
    let options = DatabaseOptions {
        database_readers: 1,
        database_acquire_timeout: acquire,
        database_statement_timeout: statement,
        ..options(&fixture.folder)
    };
    Database::open("test", &options).await.unwrap()
}

#[tokio::test]
async fn whoever_waits_too_long_for_a_connection_is_told() {
    let fixture = with_readers(1).await;
    let database = reopened(&fixture, Duration::from_millis(50), 2 * BOUND).await;
    let mut read = Box::pin(one(&database, ENDLESS));
    assert!(poll!(&mut read).is_pending());
    let told = tokio::time::timeout(BOUND, one(&database, "SELECT 1 AS n")).await;
    let error = StorageError::from(told.unwrap().unwrap_err());
    assert!(error.is_transient(), "{error:?}");
    drop(read);
    assert!(one(&database, "SELECT 1 AS n").await.is_ok());
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended_and_the_connection_had_by_the_next() {
    let fixture = with_readers(1).await;
    let database = reopened(&fixture, 2 * BOUND, Duration::from_millis(50)).await;
    let told = tokio::time::timeout(BOUND, one(&database, ENDLESS)).await;
    let error = StorageError::from(told.unwrap().unwrap_err());
    assert!(error.is_transient(), "{error:?}");
    assert!(one(&database, "SELECT 1 AS n").await.is_ok());
}

#[tokio::test]
async fn to_close_is_to_wait_for_reads_and_refuse_more() {
    let fixture = with_readers(2).await;
    let long =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000000) SELECT max(i) AS n FROM n";
    let mut read = Box::pin(one(&fixture.database, long));
    assert!(poll!(&mut read).is_pending());
    let close = async {
        fixture.database.close().await.unwrap();
        assert_eq!(connections(&fixture), 0);
    };
    let (read, ()) = tokio::join!(read, close);
    assert_eq!(read.unwrap().unwrap().try_get::<i64>("", "n").unwrap(), 2_000_000);
    let error = StorageError::from(one(&fixture.database, "SELECT 1 AS n").await.unwrap_err());
    assert!(error.is_transient(), "{error:?}");
    fixture.database.close().await.unwrap();
}

#[tokio::test]
async fn what_is_begun_on_a_reader_does_not_last() {
    let fixture = with_readers(1).await;
    let reader = fixture.database.reader();
    reader.execute_unprepared("BEGIN").await.unwrap();
    reader.execute_raw(Statement::from_string(DbBackend::Sqlite, "BEGIN")).await.unwrap();
    assert_eq!(count(reader).await, 0);
    execute(&fixture.database, "INSERT INTO entry VALUES (1, 'x')").await.unwrap();
    assert_eq!(count(reader).await, 1);
}

#[tokio::test]
async fn a_read_that_fails_leaves_its_connection_to_the_next() {
    let fixture = with_readers(1).await;
    execute(&fixture.database, "INSERT INTO entry VALUES (1, 'x'), (2, 'y')").await.unwrap();
    for _ in 0..3 {
        let error = StorageError::from(one(&fixture.database, "SELECT nothing FROM entry").await.unwrap_err());
        assert!(!error.is_transient(), "{error:?}");
        // One of several rows: the rest is not waited for, nor kept.
        let first = one(&fixture.database, "SELECT text FROM entry ORDER BY id").await.unwrap().unwrap();
        assert_eq!(first.try_get::<String>("", "text").unwrap(), "x");
        assert!(one(&fixture.database, "SELECT text FROM entry WHERE id = 3").await.unwrap().is_none());
        let values = [Value::from(0_i64), Value::from(1_u64)];
        let sql = "SELECT text FROM entry WHERE id > ? LIMIT ?";
        let limited = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
        assert_eq!(fixture.database.reader().query_all_raw(limited).await.unwrap().len(), 1);
    }
    has_connections(&fixture, 2).await;
}

#[tokio::test]
async fn values_come_back_as_they_were_given() {
    let fixture = with_readers(1).await;
    let (id, data, bytes) = (Uuid::from_u128(7), json!({"a": [1, null]}), vec![0_u8, 255]);
    let values: [Value; 8] = [
        id.into(),
        i64::MAX.into(),
        i32::MIN.into(),
        true.into(),
        "text".into(),
        data.clone().into(),
        bytes.clone().into(),
        None::<String>.into(),
    ];
    let sql = "SELECT ? AS z, ? AS y, ? AS x, ? AS w, ? AS v, ? AS u, ? AS t, ? AS s";
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
    let all = fixture.database.reader().query_all_raw(statement.clone()).await.unwrap();
    let one = fixture.database.reader().query_one_raw(statement).await.unwrap();
    for row in all.into_iter().chain(one) {
        assert_eq!((row.try_get("", "z"), row.try_get_by_index(0)), (Ok(id), Ok(id)));
        assert_eq!((row.try_get("", "y"), row.try_get_by_index(1)), (Ok(i64::MAX), Ok(i64::MAX)));
        assert_eq!((row.try_get("", "x"), row.try_get_by_index(2)), (Ok(i32::MIN), Ok(i32::MIN)));
        assert_eq!((row.try_get("", "w"), row.try_get_by_index(3)), (Ok(true), Ok(true)));
        assert_eq!(row.try_get::<String>("", "v").unwrap(), "text");
        assert_eq!(row.try_get::<serde_json::Value>("", "u").unwrap(), data);
        assert_eq!(row.try_get::<Vec<u8>>("", "t").unwrap(), bytes);
        assert_eq!(row.try_get::<Option<String>>("", "s").unwrap(), None);
    }
}
