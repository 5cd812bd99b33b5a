//! The net for orphans: releases reservations that are still held long after their order should have decided.
//!
//! Order alone decides expiry; what is caught here was forgotten by it, which an alert should tell someone.

use std::time::Duration;

use opentelemetry::metrics::Counter;
use shop_storage::Database;
use shop_types::Instant;
use tokio_util::sync::CancellationToken;

use super::{Error, reservations::release_if_lapsed};
use crate::store::reservations;

/// Reservations looked up at once. Each is released in a write of its own, so that none holds up the others for long.
const BATCH: u64 = 100;

/// Looks for lapsed reservations every `interval`, until `stop`.
pub(crate) async fn release_lapsed(database: Database, interval: Duration, stop: CancellationToken) {
    let released = opentelemetry::global::meter("shop")
        .u64_counter("shop.product.reservations.lapsed")
        .with_description("Reservations that no order settled in time and the net released")
        .build();
    // A process that starts may be one that was away for long: it looks at once.
    let mut ticks = tokio::time::interval(interval);
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

/// Releases all that have lapsed, a batch at a time.
async fn sweep(database: &Database, released: &Counter<u64>) -> Result<(), Error> {
    loop {
        let orders = reservations::lapsed(database.reader(), BATCH).await?;
        for &order_id in &orders {
            let now = Instant::now();
            let lapsed = database
                .write(move |transaction| Box::pin(async move { release_if_lapsed(transaction, order_id, now).await }))
                .await?;
            if lapsed {
                released.add(1, &[]);
                tracing::warn!(order.id = %order_id, "Released a reservation that its order never settled.");
            }
        }
        if u64::try_from(orders.len()).is_ok_and(|found| found < BATCH) {
            return Ok(());
        }
    }
}
