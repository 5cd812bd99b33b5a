//! The net for orphans, on a database of its own.

use sea_orm::{ConnectionTrait as _, DbBackend, TransactionTrait as _};
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

async fn open(own: &TestDatabase) -> Database {
    crate::migrate_up(&own.options()).await.unwrap();
    Database::open(crate::NAME, &own.options()).await.unwrap()
}

/// A product with a thousand pieces.
async fn stocked(database: &Database, slug: &str) -> Uuid {
    let secret = SecretString::from("a secret of thirty-two bytes or more");
    let catalogue = Catalogue::new(database.clone(), CursorKey::new(&secret), "USD".parse().unwrap());
    let raw = RawProduct {
        sku: slug,
        slug,
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
    let tea = stocked(&database, "tea").await;
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

#[tokio::test]
async fn what_another_replica_works_on_is_left_to_it() {
    let own = TestDatabase::new(crate::NAME).await;
    // A SQLite file has one process, and no locks of rows.
    if own.backend() == DbBackend::Sqlite {
        return;
    }
    let database = open(&own).await;
    let tea = stocked(&database, "tea").await;
    let reservations = Reservations::new(database.clone());
    let past = shop_types::Instant::from_micros(shop_types::Instant::now().as_micros() - 5_000_000);
    let lines = Lines::parse([(tea.to_string().as_str(), 1)].into_iter()).unwrap();
    let orders: Vec<_> = (0..3).map(|_| new_id()).collect();
    for &order in &orders {
        reservations.reserve(order, lines.clone(), past).await.unwrap();
    }
    let neighbour = own.connect().await;
    let working = neighbour.begin().await.unwrap();
    let locked = format!("SELECT order_id FROM reservations WHERE order_id = {} FOR UPDATE", own.id(orders[1]));
    working.execute_unprepared(&locked).await.unwrap();

    let counter = opentelemetry::global::meter("test").u64_counter("lapsed").build();
    let held = "SELECT count(*) AS n FROM reservations WHERE state = 'held'";
    tokio::time::timeout(BOUND / 4, sweep(&database, &counter)).await.expect("it waited for the other").unwrap();
    assert_eq!(own.count(held).await, 1);

    working.rollback().await.unwrap();
    neighbour.close().await.unwrap();
    sweep(&database, &counter).await.unwrap();
    assert_eq!(own.count(held).await, 0);
    database.close().await.unwrap();
}

#[tokio::test]
async fn one_that_cannot_be_released_keeps_no_other() {
    let own = TestDatabase::new(crate::NAME).await;
    let database = open(&own).await;
    let (tea, mug) = (stocked(&database, "tea").await, stocked(&database, "mug").await);
    let reservations = Reservations::new(database.clone());
    let now = shop_types::Instant::now().as_micros();
    for (product, age) in [(tea, 9_000_000), (mug, 5_000_000)] {
        let lines = Lines::parse([(product.to_string().as_str(), 2)].into_iter()).unwrap();
        reservations.reserve(new_id(), lines, shop_types::Instant::from_micros(now - age)).await.unwrap();
    }
    // Somebody corrected the stock by hand, and forgot what is reserved of it.
    let wrong = format!("UPDATE stock SET reserved = 0, on_hand = available WHERE product_id = {}", own.id(tea));
    assert_eq!(own.execute(&wrong).await, 1);

    let counter = opentelemetry::global::meter("test").u64_counter("lapsed").build();
    sweep(&database, &counter).await.unwrap_err();
    let held = "SELECT count(*) AS n FROM reservations WHERE state = 'held'";
    assert_eq!(own.count(held).await, 1);
    assert_eq!(Inventory::new(database.clone()).stock(mug).await.unwrap().reserved(), 0);
    database.close().await.unwrap();
}
