//! Many at once.

use std::time::Duration;

use futures::future::join_all;
use sea_orm::{ConnectionTrait as _, DbBackend, TransactionTrait as _};
use shop_proto::product::reserve_response::Outcome;
use shop_testing::TestDatabase;
use shop_types::{Uuid, new_id};

use crate::harness::{BOUND, Shop};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_reserves_for_ten_units_never_oversell() {
    let shop = Shop::open().await;
    let tea = shop.product("Tea", 1, 10).await;
    let outcomes = join_all((0..64).map(|_| async { shop.reserve(new_id(), &[(&tea.id, 1)]).await.unwrap() })).await;
    let reserved = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Reserved(_))).count();
    assert_eq!(reserved, 10);
    assert_eq!(shop.stock(&tea.id).await, (10, 10, 0));
    shop.assert_clean().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn as_many_at_once_as_there_are_units_all_get_one() {
    let shop = Shop::open().await;
    let tea = shop.product("Tea", 1, 128).await;
    let outcomes = join_all((0..128).map(|_| async { shop.reserve(new_id(), &[(&tea.id, 1)]).await.unwrap() })).await;
    let refused: Vec<_> = outcomes.iter().filter(|outcome| !matches!(outcome, Outcome::Reserved(_))).collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(shop.stock(&tea.id).await, (128, 128, 0));
    shop.assert_clean().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn orders_over_the_same_products_in_any_order_all_settle() {
    let shop = Shop::open().await;
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(shop.product(&format!("p{n}"), 1, 20).await.id);
    }
    let outcomes = join_all((0..48usize).map(|n| {
        // Every order begins its lines at another product.
        let lines: Vec<_> = (0..4).map(|at| (ids[(n + at * 5) % ids.len()].as_str(), 1)).collect();
        let shop = &shop;
        async move { (n, shop.reserve(new_id(), &lines).await.unwrap()) }
    }));
    let reserved = outcomes.await.into_iter().filter(|(_, outcome)| matches!(outcome, Outcome::Reserved(_))).count();
    let mut held = 0;
    for id in &ids {
        let (on_hand, reserved, available) = shop.stock(id).await;
        assert_eq!((on_hand, reserved + available), (20, 20));
        held += reserved;
    }
    assert_eq!(usize::try_from(held).unwrap(), reserved * 4);
    shop.assert_clean().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_order_reserved_fifty_times_at_once_is_reserved_once() {
    let shop = Shop::open().await;
    let tea = shop.product("Tea", 1, 100).await;
    let order = new_id();
    let outcomes = join_all((0..50).map(|_| async { shop.reserve(order, &[(&tea.id, 3)]).await.unwrap() })).await;
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]));
    assert_eq!(shop.stock(&tea.id).await, (100, 3, 97));
    join_all((0..20).map(|_| async { shop.commit(order).await.unwrap() })).await;
    assert_eq!(shop.stock(&tea.id).await, (97, 0, 97));
    join_all((0..20).map(|_| async { shop.give_back(order).await.unwrap() })).await;
    assert_eq!(shop.stock(&tea.id).await, (100, 0, 100));
    shop.assert_clean().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_and_a_release_at_once_have_one_winner() {
    let shop = Shop::open().await;
    let tea = shop.product("Tea", 1, 100).await;
    let (mut committed, mut released) = (0, 0);
    for _ in 0..20 {
        let order = new_id();
        shop.reserve(order, &[(&tea.id, 1)]).await.unwrap();
        match tokio::join!(shop.commit(order), shop.release(order)) {
            (Ok(()), Err(_)) => committed += 1,
            (Err(_), Ok(())) => released += 1,
            both => panic!("commit and release: {both:?}"),
        }
    }
    assert_eq!(committed + released, 20);
    assert_eq!(shop.stock(&tea.id).await, (100 - committed, 0, 100 - committed));
    shop.assert_clean().await;
    shop.close().await;
}

/// Waits until so many statements on the database wait for what another transaction has.
async fn waiting(own: &TestDatabase, statements: i64) {
    let count = match own.backend() {
        DbBackend::Postgres => {
            "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        }
        _ => {
            "SELECT count(*) AS n FROM information_schema.innodb_trx t JOIN information_schema.processlist p \
             ON p.id = t.trx_mysql_thread_id WHERE p.db = DATABASE() AND t.trx_state = 'LOCK WAIT'"
        }
    };
    let reached = async {
        while own.count(count).await < statements {
            // InnoDB looks anew only if nobody has for a tenth of a second.
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    };
    tokio::time::timeout(BOUND, reached).await.expect("they wait");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_release_that_meets_a_reserve_on_its_way_gives_back_what_that_took() {
    let shop = Shop::open().await;
    // SQLite has one writer, so that none meets another.
    if shop.own().backend() == DbBackend::Sqlite {
        return;
    }
    let tea = shop.product("Tea", 1, 10).await;
    let neighbour = shop.own().connect().await;
    let working = neighbour.begin().await.unwrap();
    let id = shop.own().id(Uuid::parse_str(&tea.id).unwrap());
    working
        .execute_unprepared(&format!("SELECT available FROM stock WHERE product_id = {id} FOR UPDATE"))
        .await
        .unwrap();

    let (order, lines) = (new_id(), [(tea.id.as_str(), 1)]);
    let releasing = async {
        waiting(shop.own(), 1).await;
        shop.release(order).await
    };
    let going_on = async {
        waiting(shop.own(), 2).await;
        working.rollback().await.unwrap();
    };
    let (reserved, released, ()) = tokio::join!(shop.reserve(order, &lines), releasing, going_on);
    assert!(matches!(reserved.unwrap(), Outcome::Reserved(_)));
    released.unwrap();
    assert_eq!(shop.stock(&tea.id).await, (10, 0, 10));
    neighbour.close().await.unwrap();
    shop.assert_clean().await;
    shop.close().await;
}
