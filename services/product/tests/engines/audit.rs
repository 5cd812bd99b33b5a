//! What the audit sees.

use sea_orm::ConnectionTrait as _;
use shop_product::audit::{self, ReservationState};
use shop_storage::{Database, StorageError, open_reader};
use shop_types::{Uuid, new_id};

use crate::harness::Shop;

#[tokio::test]
async fn reservations_are_listed_a_page_at_a_time() {
    let shop = Shop::open().await;
    let (tea, coffee) = (shop.product("Tea", 1, 10).await, shop.product("Coffee", 1, 10).await);
    let orders: Vec<_> = (0..5).map(|_| new_id()).collect();
    for &order in &orders[..4] {
        shop.reserve(order, &[(&coffee.id, 1), (&tea.id, if order == orders[3] { 99 } else { 2 })]).await.unwrap();
    }
    shop.commit(orders[1]).await.unwrap();
    shop.commit(orders[2]).await.unwrap();
    shop.give_back(orders[2]).await.unwrap();
    shop.release(orders[4]).await.unwrap();

    let connection = open_reader(shop_product::NAME, &shop.database).await.unwrap();
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = audit::reservations(&connection, after, 2).await.unwrap();
        after = page.last().map(|record| record.order_id);
        let full = page.len() == 2;
        seen.extend(page);
        if !full {
            break;
        }
    }
    let states: Vec<_> = seen.iter().map(|record| (record.order_id, record.state)).collect();
    let expected = [
        ReservationState::Held,
        ReservationState::Committed,
        ReservationState::Returned,
        ReservationState::Refused,
        ReservationState::Released,
    ];
    assert_eq!(states, orders.iter().copied().zip(expected).collect::<Vec<_>>());
    let (tea, coffee) = (Uuid::parse_str(&tea.id).unwrap(), Uuid::parse_str(&coffee.id).unwrap());
    assert_eq!(seen[0].lines, [(tea, 2), (coffee, 1)]);
    assert_eq!((seen[4].lines.len(), seen[4].hold_until), (0, None));
    shop.assert_clean().await;
    shop.close().await;
}

#[tokio::test]
async fn what_does_not_add_up_is_found() {
    let shop = Shop::open().await;
    let mut ids = Vec::new();
    for name in ["Sound", "Uncounted", "Orphaned", "Recommitted"] {
        ids.push(shop.product(name, 1, 10).await.id);
    }
    let orders: Vec<_> = ids.iter().map(|_| new_id()).collect();
    for (id, &order) in ids.iter().zip(&orders) {
        shop.reserve(order, &[(id, 3)]).await.unwrap();
    }
    shop.assert_clean().await;
    let options = shop.database.clone();
    let kept = shop.close().await;

    let database = Database::open(shop_product::NAME, &options).await.unwrap();
    let id = |text: &str| kept.database.id(Uuid::parse_str(text).unwrap());
    let break_it = [
        format!("UPDATE stock SET on_hand = 11, available = 8 WHERE product_id = {}", id(&ids[1])),
        format!("UPDATE reservations SET state = 'released' WHERE order_id = {}", kept.database.id(orders[2])),
        format!("UPDATE reservations SET state = 'committed' WHERE order_id = {}", kept.database.id(orders[3])),
    ];
    for statement in break_it {
        database
            .write(move |transaction| {
                let statement = statement.clone();
                Box::pin(async move {
                    let done = transaction.execute_unprepared(&statement).await.map_err(StorageError::from)?;
                    assert_eq!(done.rows_affected(), 1);
                    Ok::<_, StorageError>(())
                })
            })
            .await
            .unwrap();
    }
    let findings = audit::check(database.reader()).await.unwrap();
    let stock: Vec<_> = findings
        .stock
        .iter()
        .map(|found| (found.product_id.to_string(), found.on_hand, found.ledger, found.reserved, found.held))
        .collect();
    let expected = [(&ids[1], 11, 10, 3, 3), (&ids[2], 10, 10, 3, 0), (&ids[3], 10, 10, 3, 0)];
    assert_eq!(
        stock,
        expected.map(|(id, on_hand, ledger, reserved, held)| (id.clone(), on_hand, ledger, reserved, held))
    );
    let [line] = findings.ledger.as_slice() else { panic!("{:?}", findings.ledger) };
    assert_eq!((line.order_id, line.state), (orders[3], ReservationState::Committed));
    assert_eq!((line.expected, line.found), (-3, 0));
    database.close().await.unwrap();
}

#[tokio::test]
async fn the_checks_of_the_tables_refuse_what_would_not_add_up() {
    let shop = Shop::open().await;
    shop.product("Tea", 1, 10).await;
    let options = shop.database.clone();
    let _kept = shop.close().await;
    let database = Database::open(shop_product::NAME, &options).await.unwrap();
    for wrong in [
        "UPDATE stock SET available = -1, on_hand = -1",
        "UPDATE stock SET reserved = -1, on_hand = 9",
        "UPDATE stock SET on_hand = 9",
        "UPDATE products SET price_amount = -1",
        "UPDATE stock_ledger SET delta = 0",
    ] {
        let refused = database
            .write(move |transaction| {
                Box::pin(async move { transaction.execute_unprepared(wrong).await.map_err(StorageError::from) })
            })
            .await;
        assert!(refused.is_err(), "{wrong}");
    }
    database.close().await.unwrap();
}
