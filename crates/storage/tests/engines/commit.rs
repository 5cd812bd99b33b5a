//! A COMMIT without an answer: nobody knows whether it counts, and storage does not make it count twice.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use sea_orm::ConnectionTrait as _;
use secrecy::SecretString;
use shop_storage::{Database, DatabaseOptions, StorageError};

use crate::{
    Fixture, count,
    cutter::{Cut, Cutter},
    insert,
};

/// The host and port of a server's URL.
fn authority(url: &str) -> &str {
    url.split('@').nth(1).unwrap().split('/').next().unwrap()
}

#[tokio::test]
async fn a_commit_without_an_answer_is_told_and_never_repeated() {
    let fixture = Fixture::with_table().await;
    // A file has nobody between.
    if fixture.is_sqlite() {
        return;
    }
    let url = fixture.own.url();
    let server: SocketAddr = authority(&url).parse().unwrap();
    let cutter = Cutter::before(server).await;
    let url = url.replace(authority(&url), &cutter.address().to_string());
    let options = DatabaseOptions { database_url: Some(SecretString::from(url)), ..fixture.own.options() };
    let database = Database::open("test", &options).await.unwrap();

    let runs = Arc::new(AtomicU32::new(0));
    for (n, cut) in [Cut::Question, Cut::Answer, Cut::Question, Cut::Answer].into_iter().enumerate() {
        let id = i32::try_from(n).unwrap();
        let before = count(database.reader()).await.unwrap();
        runs.store(0, Ordering::SeqCst);
        cutter.arm(cut);
        let counted = Arc::clone(&runs);
        let written = database
            .write(move |transaction| {
                counted.fetch_add(1, Ordering::SeqCst);
                Box::pin(async move {
                    transaction.execute_unprepared(&format!("INSERT INTO entry VALUES ({id}, 'x')")).await?;
                    Ok::<_, StorageError>(())
                })
            })
            .await;
        let error = written.unwrap_err();
        assert!(cutter.has_cut(), "{cut:?}: there was no COMMIT");
        assert!(matches!(error, StorageError::CommitUnknown(_)) && error.is_transient(), "{cut:?}: {error:?}");
        assert_eq!(runs.load(Ordering::SeqCst), 1, "{cut:?}");
        let counts = i64::from(cut == Cut::Answer);
        assert_eq!(count(fixture.database.reader()).await.unwrap(), before + counts, "{cut:?}");
        // The dead connection is in nobody's way.
        insert(&database, 100 + id).await.unwrap();
    }
    database.close().await.unwrap();
}
