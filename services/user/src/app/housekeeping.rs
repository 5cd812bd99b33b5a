//! Forgetting what is over: failures that no longer count, sessions past their time, revocations that concern no living
//! token, and addresses nobody signed in from for long.

use std::time::Duration;

use futures::future::BoxFuture;
use sea_orm::DatabaseTransaction;
use shop_storage::{Database, StorageError, clock};
use shop_types::Instant;
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::{
    domain::WINDOW,
    store::{logins, revocations, sessions},
};

/// How often it is done.
const INTERVAL: Duration = Duration::from_mins(1);
/// Rows of one transaction at most: it must not hold up a login.
const BATCH: u64 = 500;
/// An address not signed in from for this long is foreign again.
const ADDRESS_MEMORY: Duration = Duration::from_hours(180 * 24);

/// Forgets every minute, until `stop`.
pub(crate) async fn keep_house(database: Database, stop: CancellationToken) {
    let work = async {
        loop {
            tokio::time::sleep(INTERVAL).await;
            if let Err(error) = forget(&database).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "Old rows can't be deleted.");
            }
        }
    };
    stop.run_until_cancelled(work).await;
}

/// Deletes at most a batch of one kind; how many.
type Forget = for<'t> fn(&'t DatabaseTransaction, Instant) -> BoxFuture<'t, Result<u64, StorageError>>;

const KINDS: [Forget; 4] = [
    |transaction, now| Box::pin(logins::forget_failures(transaction, before(now, WINDOW), BATCH)),
    |transaction, now| Box::pin(logins::forget_unused_addresses(transaction, before(now, ADDRESS_MEMORY), BATCH)),
    |transaction, now| Box::pin(sessions::forget(transaction, now, BATCH)),
    |transaction, now| Box::pin(revocations::forget(transaction, now, BATCH)),
];

async fn forget(database: &Database) -> Result<(), Error> {
    for kind in KINDS {
        loop {
            let deleted = database
                .write(move |transaction| {
                    Box::pin(async move {
                        let now = clock::read(transaction).await?;
                        Ok::<_, Error>(kind(transaction, now).await?)
                    })
                })
                .await?;
            if deleted < BATCH {
                break;
            }
        }
    }
    Ok(())
}

fn before(now: Instant, age: Duration) -> Instant {
    Instant::from_micros(now.as_micros().saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX)))
}
