//! The net for orphans: releases reservations that are still held long after their order should have decided.
//!
//! Order alone decides expiry; what is caught here was forgotten by it, which an alert should tell someone.

use std::time::Duration;

use opentelemetry::metrics::Counter;
use shop_storage::Database;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Error, reservations::release_if_lapsed};
use crate::store::reservations;

/// Reservations looked up at once. Each is released in a write of its own, so that none holds up the others for long.
const BATCH: u64 = 100;

/// How long after its start a process looks for the first time, at least: an order service that was away as long is back
/// by then and has decided what it had not.
const FIRST_AFTER: Duration = Duration::from_mins(2);

/// Looks for lapsed reservations every `interval`, but not at once, until `stop`.
pub(crate) async fn release_lapsed(database: Database, interval: Duration, stop: CancellationToken) {
    look_from(database, Instant::now() + first_after(interval), interval, stop).await;
}

fn first_after(interval: Duration) -> Duration {
    interval.max(FIRST_AFTER)
}

async fn look_from(database: Database, first: Instant, interval: Duration, stop: CancellationToken) {
    let released = opentelemetry::global::meter("shop")
        .u64_counter("shop.product.reservations.lapsed")
        .with_description("Reservations that no order settled in time and the net released")
        .build();
    let mut ticks = tokio::time::interval_at(first, interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    stop.run_until_cancelled(async {
        loop {
            ticks.tick().await;
            if let Err(error) = sweep(&database, &released).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "Lapsed reservations can't be released.");
            }
        }
    })
    .await;
}

/// Releases all that have lapsed, a batch at a time. What another replica works on is left to it.
async fn sweep(database: &Database, released: &Counter<u64>) -> Result<(), Error> {
    loop {
        let orders = reservations::lapsed(database.reader(), BATCH).await?;
        let (mut any, mut failed) = (false, Ok(()));
        for &order_id in &orders {
            let now = shop_types::Instant::now();
            let lapsed = database
                .write(move |transaction| Box::pin(async move { release_if_lapsed(transaction, order_id, now).await }))
                .await;
            match lapsed {
                Ok(true) => {
                    any = true;
                    released.add(1, &[]);
                    tracing::warn!(order.id = %order_id, "Released a reservation that its order never settled.");
                }
                Ok(false) => {}
                // One that can't be released keeps none of the others.
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        // A whole batch that others have is looked at again next time.
        if !any || u64::try_from(orders.len()).is_ok_and(|found| found < BATCH) {
            return failed;
        }
    }
}

#[cfg(test)]
mod engines;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_starts_waits_for_order_first() {
        assert_eq!(first_after(Duration::from_millis(20)), Duration::from_mins(2));
        assert_eq!(first_after(Duration::from_hours(1)), Duration::from_hours(1));
    }
}
