//! Grouped writes: each stands or falls alone, and what was acknowledged is there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sea_orm::ConnectionTrait as _;
use shop_storage::{Database, StorageError, clock, open_reader};
use shop_types::Instant;

use crate::{Fixture, count, execute, options};

#[tokio::test]
async fn what_was_acknowledged_is_there_for_every_reader() {
    let fixture = Fixture::with_table().await;
    let writes = (0..500).map(|id| {
        let database = fixture.database.clone();
        tokio::spawn(async move { execute(&database, &format!("INSERT INTO entry VALUES ({id}, 'x')")).await })
    });
    for write in futures::future::join_all(writes).await {
        assert_eq!(write.unwrap().unwrap(), 1);
    }
    assert_eq!(count(fixture.database.reader()).await, 500);
    let beside = open_reader("test", &options(&fixture.folder)).await.unwrap();
    assert_eq!(count(&beside).await, 500);
}

#[tokio::test]
async fn a_write_that_fails_undoes_only_itself() {
    let fixture = Fixture::with_table().await;
    let writes = (0..200).map(|id| {
        let database = fixture.database.clone();
        tokio::spawn(async move {
            database
                .write(move |transaction| {
                    Box::pin(async move {
                        transaction.execute_unprepared(&format!("INSERT INTO entry VALUES ({id}, 'x')")).await?;
                        assert!(id % 5 != 4, "a panic in the code of a write");
                        if id % 5 == 3 {
                            transaction.execute_unprepared("INSERT INTO entry VALUES (0, 'again')").await?;
                        }
                        Ok::<_, StorageError>(id)
                    })
                })
                .await
        })
    });
    for (id, write) in futures::future::join_all(writes).await.into_iter().enumerate() {
        match (id % 5, write.unwrap()) {
            (4, Err(StorageError::Panicked)) => {}
            (3, Err(error)) => assert!(error.is_unique_violation(), "{error:?}"),
            (0..=2, Ok(answer)) => assert_eq!(answer, id),
            (_, other) => panic!("write {id}: {other:?}"),
        }
    }
    assert_eq!(count(fixture.database.reader()).await, 120);
}

#[tokio::test]
async fn waiting_writes_share_a_commit() {
    let fixture = Fixture::with_table().await;
    // The first write holds the writer until the rest have queued, so that they form groups.
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let held = {
        let (database, gate) = (fixture.database.clone(), Arc::clone(&gate));
        tokio::spawn(async move {
            database
                .write(move |_transaction| {
                    let gate = Arc::clone(&gate);
                    Box::pin(async move {
                        let _permit = gate.acquire().await;
                        Ok::<_, StorageError>(())
                    })
                })
                .await
        })
    };
    let runs = Arc::new(AtomicU32::new(0));
    let mut writes: Vec<_> = (0..64)
        .map(|id| {
            let (database, runs) = (fixture.database.clone(), Arc::clone(&runs));
            Box::pin(async move {
                database
                    .write(move |transaction| {
                        let runs = Arc::clone(&runs);
                        Box::pin(async move {
                            runs.fetch_add(1, Ordering::Relaxed);
                            let sql = format!("INSERT INTO entry VALUES ({id}, 'x')");
                            transaction.execute_unprepared(&sql).await?;
                            Ok::<_, StorageError>(())
                        })
                    })
                    .await
            })
        })
        .collect();
    for write in &mut writes {
        assert!(futures::poll!(write).is_pending());
    }
    let before = wal_commits(&fixture);
    gate.add_permits(1);
    held.await.unwrap().unwrap();
    for write in futures::future::join_all(writes).await {
        write.unwrap();
    }
    assert_eq!((runs.load(Ordering::Relaxed), count(fixture.database.reader()).await), (64, 64));
    assert!(wal_commits(&fixture) - before <= 4, "64 waiting writes took more than a few commits");
}

/// Commit frames in the write-ahead log: those whose header names a database size
/// (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>).
fn wal_commits(fixture: &Fixture) -> usize {
    let log = std::fs::read(fixture.folder.path().join("test.db-wal")).unwrap();
    let page_size = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    log[32..].chunks_exact(24 + page_size).filter(|frame| frame[4..8] != [0; 4]).count()
}

#[tokio::test]
async fn what_is_acknowledged_after_a_broken_transaction_is_committed() {
    let fixture = Fixture::with_table().await;
    // As after a commit that failed for want of space: SQLite has ended the transaction behind the driver's back.
    execute(&fixture.database, "ROLLBACK").await.unwrap_err();
    execute(&fixture.database, "INSERT INTO nowhere VALUES (1)").await.unwrap_err();
    execute(&fixture.database, "INSERT INTO entry VALUES (1, 'x')").await.unwrap();
    assert_eq!(count(fixture.database.reader()).await, 1);
}

#[tokio::test]
async fn writes_that_can_not_have_the_lock_fail_together() {
    let fixture = Fixture::with_table().await;
    let outside = sea_orm::Database::connect(format!("sqlite:{}", fixture.folder.path().join("test.db").display()));
    let outside = outside.await.unwrap();
    outside.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    let begun = std::time::Instant::now();
    let writes = (0..20).map(|id| {
        let database = fixture.database.clone();
        async move { execute(&database, &format!("INSERT INTO entry VALUES ({id}, 'x')")).await }
    });
    for write in futures::future::join_all(writes).await {
        assert!(write.unwrap_err().is_transient());
    }
    // One wait for the first alone and one for the group behind it, not twenty.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    outside.execute_unprepared("ROLLBACK").await.unwrap();
    execute(&fixture.database, "INSERT INTO entry VALUES (1, 'x')").await.unwrap();
}

#[tokio::test]
async fn a_full_disk_passes() {
    let fixture = Fixture::with_table().await;
    execute(&fixture.database, "PRAGMA max_page_count = 8").await.unwrap();
    let large = "INSERT INTO entry VALUES (1, hex(zeroblob(100000)))";
    assert!(execute(&fixture.database, large).await.unwrap_err().is_transient());
    execute(&fixture.database, "PRAGMA max_page_count = 4294967294").await.unwrap();
    execute(&fixture.database, large).await.unwrap();
    assert_eq!(count(fixture.database.reader()).await, 1);
}

#[tokio::test]
async fn the_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::with_table().await;
    for name in ["test.db", "test.db-wal", "test.db-shm"] {
        let mode = std::fs::metadata(fixture.folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_write_runs_to_its_end_though_nobody_waits() {
    let fixture = Fixture::with_table().await;
    let mut write = Box::pin(execute(&fixture.database, "INSERT INTO entry VALUES (1, 'x')"));
    assert!(futures::poll!(&mut write).is_pending());
    drop(write);
    // Writes keep their order, so the abandoned one is done once a later one is.
    execute(&fixture.database, "INSERT INTO entry VALUES (2, 'x')").await.unwrap();
    assert_eq!(count(fixture.database.reader()).await, 2);
}

#[tokio::test]
async fn readers_can_not_write() {
    let fixture = Fixture::with_table().await;
    assert!(fixture.database.reader().execute_unprepared("INSERT INTO entry VALUES (1, 'x')").await.is_err());
}

#[tokio::test]
async fn a_file_has_one_owner_until_it_is_closed() {
    let fixture = Fixture::with_table().await;
    let second = Database::open("test", &options(&fixture.folder)).await;
    assert!(matches!(second, Err(StorageError::Locked { .. })), "{second:?}");
    execute(&fixture.database, "INSERT INTO entry VALUES (1, 'x')").await.unwrap();
    fixture.database.close().await.unwrap();
    assert!(matches!(execute(&fixture.database, "SELECT 1").await, Err(StorageError::Closed)));
    let second = Database::open("test", &options(&fixture.folder)).await.unwrap();
    assert_eq!(count(second.reader()).await, 1);
}

#[tokio::test]
async fn an_unusable_file_or_url_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = shop_storage::DatabaseOptions::sqlite_file(&folder.path().join("no/such/folder/test.db"));
    let error = Database::open("test", &missing).await.unwrap_err();
    assert!(error.to_string().contains("no/such/folder"), "{error}");
    std::fs::write(folder.path().join("test.db"), "This is no database, however long one looks at it.").unwrap();
    let error = Database::open("test", &options(&folder)).await.unwrap_err();
    assert!(error.to_string().contains("test.db"), "{error}");
    let mut other = options(&folder);
    other.database_url = Some("oracle:scott@tiger".to_owned().into());
    let error = Database::open("test", &other).await.unwrap_err();
    assert!(error.to_string().contains("\"oracle\""), "{error}");
}

#[tokio::test]
async fn the_clock_is_the_databases_and_agrees_with_this_machines() {
    let fixture = Fixture::new().await;
    let before = Instant::now();
    let shown = clock::read(fixture.database.reader()).await.unwrap();
    let slack = Duration::from_millis(5);
    assert!(shown.plus(slack) >= before && shown <= Instant::now().plus(slack));
}
