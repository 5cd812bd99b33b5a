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

/// Releases all that have lapsed, a batch at a time.
async fn sweep(database: &Database, released: &Counter<u64>) -> Result<(), Error> {
    loop {
        let orders = reservations::lapsed(database.reader(), BATCH).await?;
        for &order_id in &orders {
            let now = shop_types::Instant::now();
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

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use shop_storage::page::CursorKey;
    use shop_testing::TestDatabase;
    use shop_types::{Uuid, new_id};

    use super::*;
    use crate::{
        app::{Catalogue, Inventory, Reservations},
        domain::{AdjustmentRequest, Conflict, Lines, Move, RawProduct, State},
    };

    const BOUND: Duration = Duration::from_secs(20);

    #[test]
    fn a_process_that_starts_waits_for_order_first() {
        assert_eq!(first_after(Duration::from_millis(20)), Duration::from_mins(2));
        assert_eq!(first_after(Duration::from_hours(1)), Duration::from_hours(1));
    }

    async fn open(own: &TestDatabase) -> Database {
        crate::migrate_up(&own.options()).await.unwrap();
        Database::open(crate::NAME, &own.options()).await.unwrap()
    }

    /// A product with a thousand pieces.
    async fn stocked(database: &Database) -> Uuid {
        let secret = SecretString::from("a secret of thirty-two bytes or more");
        let catalogue = Catalogue::new(database.clone(), CursorKey::new(&secret), "USD".parse().unwrap());
        let raw = RawProduct {
            sku: "TEA-1",
            slug: "tea",
            name: "Tea",
            description: "",
            category_id: "",
            price: Some((1, "USD")),
            attributes: Vec::new(),
            image_url: "",
        };
        let id = catalogue.create(&raw).await.unwrap().id;
        let delivery = AdjustmentRequest::parse(id, 1000, "delivery", "first", "staff".to_owned()).unwrap();
        Inventory::new(database.clone()).adjust(delivery).await.unwrap();
        id
    }

    #[tokio::test]
    async fn what_is_held_past_its_time_is_released_and_nothing_else() {
        let own = TestDatabase::new(crate::NAME).await;
        let database = open(&own).await;
        let tea = stocked(&database).await;
        let (inventory, reservations) = (Inventory::new(database.clone()), Reservations::new(database.clone()));
        let now = shop_types::Instant::now();
        let past = shop_types::Instant::from_micros(now.as_micros() - 5_000_000);
        let future = now.plus(Duration::from_hours(1));
        let lines = |pieces| Lines::parse([(tea.to_string().as_str(), pieces)].into_iter()).unwrap();
        let (kept, committed) = (new_id(), new_id());
        reservations.reserve(kept, lines(1), future).await.unwrap();
        reservations.reserve(committed, lines(1), past).await.unwrap();
        reservations.make(committed, Move::Commit).await.unwrap();
        // More than one batch.
        let orders: Vec<_> = (0..130).map(|_| new_id()).collect();
        let held = orders.iter().map(|&order| reservations.reserve(order, lines(2), past));
        futures::future::try_join_all(held).await.unwrap();

        let stop = CancellationToken::new();
        let net = tokio::spawn(look_from(database.clone(), Instant::now(), Duration::from_millis(20), stop.clone()));
        let released = async {
            while inventory.stock(tea).await.unwrap().reserved() != 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(BOUND, released).await.unwrap();
        let late = reservations.make(orders[0], Move::Commit).await.unwrap_err();
        assert!(matches!(late, Error::Conflict(Conflict { state: Some(State::Released), .. })), "{late:?}");
        reservations.make(orders[0], Move::Release).await.unwrap();
        reservations.make(kept, Move::Commit).await.unwrap();
        reservations.make(committed, Move::Return).await.unwrap();
        stop.cancel();
        tokio::time::timeout(BOUND, net).await.unwrap().unwrap();
        database.close().await.unwrap();
    }
}
