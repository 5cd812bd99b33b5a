//! A server that stops, comes back, or hangs: what is asked of it meanwhile fails in a bounded time as a thing that passes,
//! and everything goes on by itself.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use secrecy::SecretString;
use shop_storage::{Database, DatabaseOptions, StorageError};
use shop_testing::OwnServer;
use tokio::{sync::Notify, time::Instant};

use crate::{ENTRY, count, execute, insert};

/// What a test's process gives a connection, and a statement.
const TIMEOUT: Duration = Duration::from_secs(1);
/// As much again for a machine that is busy.
const SLACK: Duration = Duration::from_secs(3);
/// What storage gives the closure of a write, and its rollback.
const WRITE_BOUND: Duration = Duration::from_secs(12);

async fn open(server: &OwnServer) -> Database {
    let options = DatabaseOptions {
        database_readers: 2,
        database_writers: 2,
        database_acquire_timeout: TIMEOUT,
        database_statement_timeout: TIMEOUT,
        database_lock_timeout: TIMEOUT,
        ..DatabaseOptions::at(SecretString::from(server.url()))
    };
    Database::open("test", &options).await.unwrap()
}

/// Asserts that something fails in its time as a thing that passes.
async fn passes<T: std::fmt::Debug>(what: &str, bound: Duration, asked: impl Future<Output = Result<T, StorageError>>) {
    let begun = Instant::now();
    let error = asked.await.unwrap_err();
    assert!(error.is_transient(), "{what}: {error:?}");
    assert!(begun.elapsed() < bound, "{what} took {:?}: {error:?}", begun.elapsed());
}

async fn ids(database: &Database) -> BTreeSet<i32> {
    let statement = Statement::from_string(database.backend(), "SELECT id FROM entry");
    let rows = database.reader().query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get("", "id").unwrap()).collect()
}

#[tokio::test]
async fn a_server_that_stops_is_missed_and_found_again() {
    let Some(mut server) = OwnServer::of_the_tested_engine().await else { return };
    let database = open(&server).await;
    execute(&database, ENTRY).await.unwrap();

    // Some write all the time, and keep count of what they were told.
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (database, stop) = (database.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let (mut done, mut unknown) = (BTreeSet::new(), BTreeSet::new());
                for id in (writer * 1_000_000).. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    match insert(&database, id).await {
                        Ok(_) => drop(done.insert(id)),
                        Err(StorageError::CommitUnknown(_)) => drop(unknown.insert(id)),
                        Err(error) => assert!(error.is_transient(), "{error:?}"),
                    }
                }
                (done, unknown)
            })
        })
        .collect();
    let enough = async |rows| {
        while count(database.reader()).await.unwrap() < rows {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WRITE_BOUND, enough(40)).await.unwrap();

    for _ in 0..2 {
        server.stop().await;
        for _ in 0..3 {
            passes("a write", 2 * TIMEOUT + SLACK, insert(&database, -1)).await;
            passes("a read", 2 * TIMEOUT + SLACK, count(database.reader())).await;
        }
        server.start().await;
        // Connections that were open are dead. Nobody hears of it.
        let before = count(database.reader()).await.unwrap();
        tokio::time::timeout(WRITE_BOUND, enough(before + 40)).await.unwrap();
    }

    stop.store(true, Ordering::SeqCst);
    let (mut done, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    for writer in writers {
        let (of_one, unknown_of_one) = writer.await.unwrap();
        done.extend(of_one);
        unknown.extend(unknown_of_one);
    }
    let there = ids(&database).await;
    assert!(done.is_subset(&there), "lost: {:?}", done.difference(&there));
    let surplus: BTreeSet<_> = there.difference(&done).copied().collect();
    assert!(surplus.is_subset(&unknown), "never acknowledged: {surplus:?}");
    database.close().await.unwrap();
}

#[tokio::test]
async fn a_server_that_hangs_holds_nobody_for_longer_than_it_may() {
    let Some(server) = OwnServer::of_the_tested_engine().await else { return };
    let database = open(&server).await;
    execute(&database, ENTRY).await.unwrap();
    count(database.reader()).await.unwrap();

    // One is in the middle of a write.
    let (begun, hung) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let middle = {
        let (database, begun, hung) = (database.clone(), Arc::clone(&begun), Arc::clone(&hung));
        tokio::spawn(async move {
            database
                .write(move |transaction| {
                    let (begun, hung) = (Arc::clone(&begun), Arc::clone(&hung));
                    Box::pin(async move {
                        transaction.execute_unprepared("INSERT INTO entry VALUES (1, 'x')").await?;
                        begun.notify_one();
                        hung.notified().await;
                        transaction.execute_unprepared("INSERT INTO entry VALUES (2, 'x')").await?;
                        Ok::<_, StorageError>(())
                    })
                })
                .await
        })
    };
    begun.notified().await;
    server.hang();
    hung.notify_one();

    for _ in 0..4 {
        passes("a write", 2 * TIMEOUT + SLACK, insert(&database, 3)).await;
        passes("a read", 3 * TIMEOUT + SLACK, count(database.reader())).await;
    }
    passes("a write in the middle", WRITE_BOUND + SLACK, async { middle.await.unwrap() }).await;

    server.resume();
    let recovered = async {
        while insert(&database, 4).await.is_err() {}
        while count(database.reader()).await.is_err() {}
    };
    tokio::time::timeout(WRITE_BOUND, recovered).await.unwrap();
    // What had been given up is undone, by the server too.
    assert_eq!(ids(&database).await, BTreeSet::from([4]));
    database.close().await.unwrap();
}

/// A server that hangs does not keep a process from leaving, either.
#[tokio::test]
async fn a_server_that_hangs_is_left_without_a_goodbye() {
    let Some(server) = OwnServer::of_the_tested_engine().await else { return };
    let database = open(&server).await;
    execute(&database, ENTRY).await.unwrap();
    server.hang();
    let begun = Instant::now();
    // Whether connections could be closed is not to be known.
    let _unanswered = database.close().await;
    assert!(begun.elapsed() < Duration::from_secs(5) + SLACK, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    let Some(mut server) = OwnServer::of_the_tested_engine().await else { return };
    server.stop().await;
    let options = DatabaseOptions::at(SecretString::from(server.url()));
    let mut opening = Box::pin(Database::open("test", &options));
    // The first attempt fails within this; it goes on.
    assert!(tokio::time::timeout(TIMEOUT, &mut opening).await.is_err());
    server.start().await;
    let database = tokio::time::timeout(WRITE_BOUND, opening).await.unwrap().unwrap();
    execute(&database, ENTRY).await.unwrap();
    database.close().await.unwrap();
}

/// Which connection a read goes through.
async fn connection(database: &Database) -> i64 {
    let sql = match database.backend() {
        DbBackend::Postgres => "SELECT pg_backend_pid()::bigint AS n",
        _ => "SELECT CAST(connection_id() AS SIGNED) AS n",
    };
    let row = database.reader().query_one_raw(Statement::from_string(database.backend(), sql)).await.unwrap();
    row.unwrap().try_get("", "n").unwrap()
}

#[tokio::test]
async fn a_connection_is_kept_until_its_server_takes_no_writes_any_more() {
    let Some(server) = OwnServer::of_the_tested_engine().await else { return };
    let options = DatabaseOptions { database_readers: 1, ..DatabaseOptions::at(SecretString::from(server.url())) };
    let database = Database::open("test", &options).await.unwrap();
    let first = connection(&database).await;
    for _ in 0..3 {
        assert_eq!(connection(&database).await, first);
    }
    // PostgreSQL's standbys can't be made by a statement.
    if database.backend() == DbBackend::MySql {
        let admin = sea_orm::Database::connect(server.url()).await.unwrap();
        admin.execute_unprepared("SET GLOBAL read_only = 1").await.unwrap();
        assert_eq!(connection(&database).await, first);
        let mut before = first;
        for _ in 0..3 {
            let another = connection(&database).await;
            assert_ne!(another, before);
            before = another;
        }
        admin.execute_unprepared("SET GLOBAL read_only = 0").await.unwrap();
        connection(&database).await;
        let kept = connection(&database).await;
        assert_eq!(connection(&database).await, kept);
        admin.close().await.unwrap();
    }
    database.close().await.unwrap();
}

#[tokio::test]
async fn a_server_bounds_how_long_a_transaction_may_stall() {
    let Some(server) = OwnServer::of_the_tested_engine().await else { return };
    let database = open(&server).await;
    let sql = match database.backend() {
        DbBackend::Postgres => {
            "SELECT extract(epoch FROM current_setting('idle_in_transaction_session_timeout')::interval)::bigint AS n"
        }
        _ => "SELECT CAST(@@SESSION.idle_transaction_timeout AS SIGNED) AS n",
    };
    let bound = database.write(move |transaction| {
        Box::pin(async move {
            let statement = Statement::from_string(transaction.get_database_backend(), sql);
            let row = transaction.query_one_raw(statement).await?.unwrap();
            Ok::<i64, StorageError>(row.try_get("", "n")?)
        })
    });
    assert_eq!(bound.await.unwrap(), 30);
    database.close().await.unwrap();
}
