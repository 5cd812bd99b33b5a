//! Stock as staff and customers see it: adjustments and availability.

use shop_proto::{product as proto, status::Reason};
use shop_types::new_id;

use crate::harness::{Shop, answer, pointers, reason};

#[tokio::test]
async fn an_adjustment_is_made_once_per_key_and_product() {
    let shop = Shop::open().await;
    let (tea, coffee) = (shop.product("Tea", 1, 0).await, shop.product("Coffee", 1, 0).await);
    let first = shop.adjust(&tea.id, 5, "Delivery", "key-1").await.unwrap();
    assert!(!first.replayed);
    let adjustment = first.adjustment.clone().unwrap();
    assert_eq!((adjustment.delta, adjustment.reason.as_str()), (5, "Delivery"));
    assert_eq!(adjustment.inventory.as_ref().unwrap().on_hand, 5);

    shop.adjust(&tea.id, 2, "Delivery", "key-2").await.unwrap();
    // What comes again is what was made then, whatever happened since.
    let again = shop.adjust(&tea.id, 5, "Delivery", "key-1").await.unwrap();
    assert_eq!((again.adjustment.unwrap(), again.replayed), (adjustment, true));
    assert_eq!(reason(shop.adjust(&tea.id, 6, "Delivery", "key-1").await), Reason::IdempotencyKeyReused);
    assert_eq!(reason(shop.adjust(&tea.id, 5, "Another", "key-1").await), Reason::IdempotencyKeyReused);
    assert!(!shop.adjust(&coffee.id, 5, "Delivery", "key-1").await.unwrap().replayed);
    assert_eq!((shop.stock(&tea.id).await, shop.stock(&coffee.id).await), ((7, 0, 7), (5, 0, 5)));
    shop.assert_clean().await;
    shop.close().await;
}

#[tokio::test]
async fn fifty_at_once_with_one_key_are_one_change() {
    let shop = Shop::open().await;
    let tea = shop.product("Tea", 1, 0).await;
    let made = futures::future::join_all((0..50).map(|_| shop.adjust(&tea.id, 3, "Delivery", "once"))).await;
    let made: Vec<_> = made.into_iter().map(Result::unwrap).collect();
    assert_eq!(made.iter().filter(|one| !one.replayed).count(), 1);
    assert!(made.iter().all(|one| one.adjustment == made[0].adjustment));
    assert_eq!(shop.stock(&tea.id).await, (3, 0, 3));
    shop.close().await;
}

#[tokio::test]
async fn stock_on_hand_never_falls_below_what_is_reserved() {
    let shop = Shop::open().await;
    let tea = shop.product("Tea", 1, 10).await;
    shop.reserve(new_id(), &[(&tea.id, 4)]).await.unwrap();
    let refused = shop.adjust(&tea.id, -7, "Broken", "a").await.unwrap_err();
    assert_eq!((refused.reason, refused.metadata["available"].as_str()), (Reason::InsufficientStock, "6"));
    // A refusal consumes no key.
    shop.adjust(&tea.id, -6, "Broken", "a").await.unwrap();
    assert_eq!(shop.stock(&tea.id).await, (4, 4, 0));
    assert_eq!(reason(shop.adjust(&tea.id, -1, "Broken", "b").await), Reason::InsufficientStock);
    shop.assert_clean().await;
    shop.close().await;
}

#[tokio::test]
async fn a_wrong_adjustment_is_refused_with_every_field() {
    let shop = Shop::open().await;
    let tea = shop.product("Tea", 1, 1).await;
    assert_eq!(pointers(shop.adjust(&tea.id, 0, "", "").await), ["/delta", "/reason", "Idempotency-Key"]);
    assert_eq!(pointers(shop.adjust(&tea.id, i64::MAX, "Much", "k").await), ["/delta"]);
    assert_eq!(pointers(shop.adjust(&tea.id, 1_000_000_000_000, "Much", "k").await), ["/delta"]);
    assert_eq!(pointers(shop.adjust(&tea.id, 1, "Key", &"k".repeat(256)).await), ["Idempotency-Key"]);
    assert_eq!(reason(shop.adjust(&new_id().to_string(), 1, "Nobody", "k").await), Reason::NotFound);
    assert_eq!(reason(shop.adjust("tea", 1, "Nobody", "k").await), Reason::NotFound);
    assert_eq!(shop.stock(&tea.id).await, (1, 0, 1));
    shop.close().await;
}

#[tokio::test]
async fn availability_is_answered_in_order_without_the_unknown() {
    let shop = Shop::open().await;
    let (tea, coffee) = (shop.product("Tea", 1, 2).await, shop.product("Coffee", 1, 0).await);
    let ask = |product_ids: Vec<String>| {
        let mut products = shop.products.clone();
        async move { answer(products.get_availability(proto::GetAvailabilityRequest { product_ids }).await) }
    };
    let found = ask(vec![coffee.id.clone(), new_id().to_string(), "x".into(), tea.id.clone(), coffee.id.clone()]).await;
    let found: Vec<_> =
        found.unwrap().availabilities.into_iter().map(|one| (one.product_id, one.available, one.in_stock)).collect();
    assert_eq!(found, [(coffee.id.clone(), 0, false), (tea.id.clone(), 2, true)]);
    assert_eq!(pointers(ask(vec![]).await), ["/product_ids"]);
    assert_eq!(pointers(ask(vec![tea.id.clone(); 101]).await), ["/product_ids"]);
    // Stock changes without a new version of the product.
    let key = Some(proto::get_product_request::Key::Id(tea.id.clone()));
    let now = shop.products.clone().get_product(proto::GetProductRequest { key }).await.unwrap().into_inner();
    assert_eq!(now.product.unwrap(), tea);
    shop.close().await;
}
