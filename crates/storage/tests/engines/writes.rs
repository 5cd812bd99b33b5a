//! Writes: each stands or falls alone, what was acknowledged is there, and what ran into another runs again.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use shop_storage::{Database, StorageError, clock, snapshot};
use shop_types::Instant;
use tokio::sync::Barrier;

use crate::{Fixture, count, insert};

#[tokio::test]
async fn what_was_acknowledged_is_there_for_every_reader() {
    let fixture = Fixture::with_table().await;
    let writes = (0..200).map(|id| {
        let database = fixture.database.clone();
        tokio::spawn(async move { insert(&database, id).await })
    });
    for write in futures::future::join_all(writes).await {
        assert_eq!(write.unwrap().unwrap(), 1);
    }
    assert_eq!(count(fixture.database.reader()).await.unwrap(), 200);
}

#[tokio::test]
async fn a_write_that_fails_undoes_only_itself() {
    let fixture = Fixture::with_table().await;
    let writes = (0..60).map(|id| {
        let database = fixture.database.clone();
        tokio::spawn(async move {
            database
                .write(move |transaction| {
                    Box::pin(async move {
                        transaction.execute_unprepared(&format!("INSERT INTO entry VALUES ({id}, 'x')")).await?;
                        assert!(id % 5 != 4, "a panic in the code of a write");
                        if id % 5 == 3 {
                            transaction
                                .execute_unprepared(&format!("INSERT INTO entry VALUES ({id}, 'again')"))
                                .await?;
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
            (3, Err(error)) => assert!(error.is_unique_violation() && !error.is_transient(), "{error:?}"),
            (0..=2, Ok(answer)) => assert_eq!(answer, id),
            (_, other) => panic!("write {id}: {other:?}"),
        }
    }
    assert_eq!(count(fixture.database.reader()).await.unwrap(), 36);
}

/// Locks the entries `first` and `second` in this order, having met another that does so the other way round.
async fn lock_both(
    database: Database,
    first: i32,
    second: i32,
    meeting: Arc<Barrier>,
    runs: Arc<AtomicU32>,
) -> Result<(), StorageError> {
    database
        .write(move |transaction| {
            let (meeting, runs) = (Arc::clone(&meeting), Arc::clone(&runs));
            Box::pin(async move {
                let touch = |id: i32| format!("UPDATE entry SET text = 'touched' WHERE id = {id}");
                let run = runs.fetch_add(1, Ordering::SeqCst);
                transaction.execute_unprepared(&touch(first)).await?;
                // Both hold their first lock now; who runs again meets nobody.
                if run < 2 {
                    meeting.wait().await;
                }
                transaction.execute_unprepared(&touch(second)).await?;
                Ok(())
            })
        })
        .await
}

#[tokio::test]
async fn of_two_that_lock_each_other_out_both_are_done() {
    let fixture = Fixture::with_table().await;
    // SQLite has one writer, so that none ever waits for another in the middle.
    if fixture.is_sqlite() {
        return;
    }
    insert(&fixture.database, 1).await.unwrap();
    insert(&fixture.database, 2).await.unwrap();
    let (meeting, runs) = (Arc::new(Barrier::new(2)), Arc::new(AtomicU32::new(0)));
    let (one, other) = tokio::join!(
        lock_both(fixture.database.clone(), 1, 2, Arc::clone(&meeting), Arc::clone(&runs)),
        lock_both(fixture.database.clone(), 2, 1, meeting, Arc::clone(&runs)),
    );
    one.unwrap();
    other.unwrap();
    assert!(runs.load(Ordering::SeqCst) > 2, "nothing was in the other's way");
}

#[tokio::test]
async fn a_write_that_goes_on_after_a_failed_statement_is_not_told_that_it_is_done() {
    let fixture = Fixture::with_table().await;
    insert(&fixture.database, 1).await.unwrap();
    let written = fixture
        .database
        .write(|transaction| {
            Box::pin(async move {
                let insert = |id: i32| {
                    let sql = format!("INSERT INTO entry VALUES ({id}, 'x')");
                    Statement::from_string(transaction.get_database_backend(), sql)
                };
                transaction.execute_raw(insert(2)).await?;
                let _passed_over = transaction.execute_raw(insert(1)).await;
                Ok::<_, StorageError>(())
            })
        })
        .await;
    // The other engines undo the statement alone, and go on.
    let there = count(fixture.database.reader()).await.unwrap();
    match fixture.own.backend() {
        DbBackend::Postgres => assert!(written.is_err() && there == 1, "{written:?}, {there} rows"),
        _ => assert!(written.is_ok() && there == 2, "{written:?}, {there} rows"),
    }
    insert(&fixture.database, 3).await.unwrap();
}

#[tokio::test]
async fn a_write_runs_to_its_end_though_nobody_waits() {
    let fixture = Fixture::with_table().await;
    let mut write = Box::pin(insert(&fixture.database, 1));
    assert!(futures::poll!(&mut write).is_pending());
    drop(write);
    fixture.database.close().await.unwrap();
    assert_eq!(fixture.own.count("SELECT count(*) AS n FROM entry").await, 1);
    assert!(matches!(insert(&fixture.database, 2).await, Err(StorageError::Closed)));
}

#[tokio::test]
async fn readers_can_not_write() {
    let fixture = Fixture::with_table().await;
    let refused = fixture.database.reader().execute_unprepared("INSERT INTO entry VALUES (1, 'x')").await;
    assert!(refused.is_err());
    assert_eq!(count(fixture.database.reader()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_snapshot_stays_as_it_was() {
    let fixture = Fixture::with_table().await;
    let connection = shop_storage::open_reader("test", &fixture.own.options()).await.unwrap();
    let frozen = snapshot(&connection).await.unwrap();
    assert_eq!(count(&frozen).await.unwrap(), 0);
    insert(&fixture.database, 1).await.unwrap();
    assert_eq!(count(&frozen).await.unwrap(), 0);
    frozen.rollback().await.unwrap();
    assert_eq!(count(&connection).await.unwrap(), 1);
    connection.close().await.unwrap();
}

#[tokio::test]
async fn the_clock_is_the_databases_and_agrees_with_this_machines() {
    let fixture = Fixture::new().await;
    let before = Instant::now();
    let shown = clock::read(fixture.database.reader()).await.unwrap();
    let slack = std::time::Duration::from_millis(5);
    assert!(shown.plus(slack) >= before && shown <= Instant::now().plus(slack));
}
