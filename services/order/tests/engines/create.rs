//! Placing orders: what settles them, what is refused, and what a repeat gets.

use std::collections::HashSet;

use futures::future;
use shop_proto::{
    order::{self as proto, OrderReason, OrderStatus, create_order_request::Destination},
    product::ArchiveProductRequest,
    status::Reason,
    user::CreateAddressRequest,
};
use shop_types::new_id;

use crate::harness::{BOUND, Shop, Wishes, berlin, create_request, pointers, reason, usd};

#[tokio::test]
async fn an_order_is_reserved_at_the_price_of_that_moment() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let (tea, pot) = (shop.product(499, 10).await, shop.product(2_500, 3).await);

    let created = shop.create(&ada, "key-1", &[(&tea, 2), (&pot, 1), (&tea, 1)]).await.unwrap();
    let order = created.order.unwrap();
    assert!(!created.replayed);
    assert_eq!(order.status(), OrderStatus::Reserved);
    assert_eq!(order.user_id, ada.id.to_string());
    assert_eq!(order.total, Some(usd(3 * 499 + 2_500)));
    let lines: Vec<_> = order.items.iter().map(|item| (item.product_id.as_str(), item.quantity)).collect();
    assert_eq!(lines, [(tea.as_str(), 3), (pot.as_str(), 1)], "the same product twice is merged");
    assert_eq!(order.items[0].line_total, Some(usd(1_497)));
    assert_eq!(order.shipping_address, Some(berlin()));
    assert!(order.expires_at.is_some() && order.refund_due.is_none());
    assert_eq!(order.version, 2);
    assert_eq!(shop.stock(&tea).await, (10, 3, 7));
    assert_eq!(shop.get(&ada, &order.id).await.unwrap(), order);

    let history = shop.history(&order.id).await;
    let steps: Vec<_> = history.iter().map(|entry| (entry.from(), entry.to(), entry.actor.as_str())).collect();
    let (placed, settled) = (ada.id.to_string(), "order");
    assert_eq!(
        steps,
        [
            (OrderStatus::Unspecified, OrderStatus::Pending, placed.as_str()),
            (OrderStatus::Pending, OrderStatus::Reserved, settled)
        ]
    );
    shop.assert_clean().await;
}

#[tokio::test]
async fn what_is_out_of_stock_is_a_rejection_that_is_kept() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let (tea, pot) = (shop.product(499, 10).await, shop.product(2_500, 3).await);
    let items = [(tea.as_str(), 1), (pot.as_str(), 2), (pot.as_str(), 2)];

    let refusal = shop.create(&ada, "key-1", &items).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::OutOfStock);
    assert_eq!(pointers(&refusal), ["/items/1/quantity"]);
    assert!(!refusal.metadata.contains_key("replayed"));
    let order = shop.get(&ada, &refusal.metadata["order_id"]).await.unwrap();
    assert_eq!((order.status(), order.reason()), (OrderStatus::Rejected, OrderReason::OutOfStock));
    assert_eq!(order.total, None);
    assert!(order.items.iter().all(|item| item.unit_price.is_none() && item.sku.is_empty()));
    assert_eq!(shop.stock(&tea).await, (10, 0, 10), "all lines or none");

    let mut again = shop.create(&ada, "key-1", &items).await.unwrap_err();
    assert_eq!(again.metadata.remove("replayed").as_deref(), Some("true"));
    assert_eq!(again, refusal, "a repeat gets the same");
    shop.assert_clean().await;
}

#[tokio::test]
async fn what_is_not_sold_is_a_rejection() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let (tea, archived) = (shop.product(499, 1).await, shop.product(2_500, 3).await);
    let request = ArchiveProductRequest { product_id: archived.clone(), expected_version: 1 };
    shop.products().archive_product(shop.staff.says(request)).await.unwrap();

    let unknown = new_id().to_string();
    let items = [(tea.as_str(), 2), (archived.as_str(), 1), (unknown.as_str(), 1)];
    let refusal = shop.create(&ada, "key-1", &items).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::ProductNotOrderable);
    let found: HashSet<_> = pointers(&refusal).into_iter().collect();
    assert!(found.contains("/items/1/product_id") && found.contains("/items/2/product_id"), "{found:?}");
    shop.assert_clean().await;
}

#[tokio::test]
async fn a_total_beyond_counting_is_a_rejection_and_releases_the_stock() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let dear = shop.product(i64::MAX / 2, 10).await;
    let refusal = shop.create(&ada, "key-1", &[(&dear, 3)]).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::TotalTooLarge);
    shop.stock_becomes(&dear, (10, 0, 10)).await;
    shop.assert_clean().await;
}

#[tokio::test]
async fn a_user_who_is_gone_is_a_rejection_that_is_kept() {
    let shop = Shop::open().await;
    let gone = shop.stranger();
    let tea = shop.product(499, 10).await;
    let refusal = shop.create(&gone, "key-1", &[(&tea, 1)]).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::UserNotAllowed);
    let order = shop.get(&gone, &refusal.metadata["order_id"]).await.unwrap();
    assert_eq!((order.status(), order.reason()), (OrderStatus::Rejected, OrderReason::UserNotAllowed));
    assert_eq!(shop.stock(&tea).await, (10, 0, 10));
    shop.assert_clean().await;
}

#[tokio::test]
async fn every_violation_is_told_and_no_key_is_used() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let mut wrong = create_request("key-1", &[("tea", 1), (&tea, 0)]);
    wrong.destination = None;
    let refusal = shop.create_within(&ada, wrong, BOUND).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::ValidationFailed);
    assert_eq!(pointers(&refusal), ["/items/0/product_id", "/items/1/quantity", "/shipping_address"]);

    let created = shop.create(&ada, "key-1", &[(&tea, 1)]).await.unwrap();
    assert!(!created.replayed, "the key was free");
    let refusal = shop.create(&ada, "a key", &[(&tea, 1)]).await.unwrap_err();
    assert_eq!(pointers(&refusal), ["Idempotency-Key"]);
}

#[tokio::test]
async fn a_repeat_gets_the_order_as_it_is_now() {
    let shop = Shop::open().await;
    let (ada, bob) = (shop.customer().await, shop.customer().await);
    let tea = shop.product(499, 10).await;
    let order = shop.create(&ada, "key-1", &[(&tea, 1)]).await.unwrap().order.unwrap();
    shop.cancel(&ada, &order.id).await.unwrap();

    let again = shop.create(&ada, "key-1", &[(&tea, 1)]).await.unwrap();
    assert!(again.replayed);
    let now = again.order.unwrap();
    assert_eq!((now.id.as_str(), now.status()), (order.id.as_str(), OrderStatus::Cancelled));

    assert_eq!(reason(shop.create(&ada, "key-1", &[(&tea, 2)]).await), Reason::IdempotencyKeyReused);
    let others = shop.create(&bob, "key-1", &[(&tea, 2)]).await.unwrap();
    assert!(!others.replayed, "keys are each user's own");
    shop.assert_clean().await;
}

#[tokio::test]
async fn fifty_at_once_under_one_key_are_one_order() {
    let shop = Shop::open_with(Wishes::replicated()).await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 100).await;
    let items = [(tea.as_str(), 1)];
    let answers = future::join_all((0..50).map(|_| shop.create(&ada, "key-1", &items))).await;
    let created: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let ids: HashSet<_> = created.iter().map(|created| created.order.as_ref().unwrap().id.clone()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(created.iter().filter(|created| !created.replayed).count(), 1);
    assert_eq!(shop.stock(&tea).await, (100, 1, 99));
    shop.assert_clean().await;
}

#[tokio::test]
async fn stock_is_never_sold_twice() {
    let shop = Shop::open_with(Wishes::replicated()).await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let keys: Vec<_> = (0..40).map(|n| format!("key-{n}")).collect();
    let items = [(tea.as_str(), 1)];
    let answers = future::join_all(keys.iter().map(|key| shop.create(&ada, key, &items))).await;
    let reserved = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused: HashSet<_> = answers.into_iter().filter_map(Result::err).map(|refusal| refusal.reason).collect();
    assert_eq!((reserved, refused), (10, HashSet::from([Reason::OutOfStock])));
    assert_eq!(shop.stock(&tea).await, (10, 10, 0));
    shop.assert_clean().await;
}

#[tokio::test]
async fn an_address_of_ones_own_is_kept_as_it_was() {
    let shop = Shop::open().await;
    let (ada, bob) = (shop.customer().await, shop.customer().await);
    let tea = shop.product(499, 10).await;
    let request =
        CreateAddressRequest { user_id: ada.id.to_string(), label: "home".to_owned(), address: Some(berlin()) };
    let made = shop.users().create_address(ada.says(request)).await.unwrap().into_inner();
    let address_id = made.address.unwrap().id;
    let to_book = |id: &str| proto::CreateOrderRequest {
        destination: Some(Destination::AddressId(id.to_owned())),
        ..create_request("key-1", &[(&tea, 1)])
    };

    let refusal = shop.create_within(&bob, to_book(&address_id), BOUND).await.unwrap_err();
    assert_eq!((refusal.reason, pointers(&refusal)), (Reason::ValidationFailed, vec!["/address_id"]));
    let refusal = shop.create_within(&bob, to_book(&new_id().to_string()), BOUND).await.unwrap_err();
    assert_eq!(pointers(&refusal), ["/address_id"]);
    let created = shop.create(&bob, "key-1", &[(&tea, 1)]).await.unwrap();
    assert!(!created.replayed, "a foreign address uses no key");

    let order = shop.create_within(&ada, to_book(&address_id), BOUND).await.unwrap().order.unwrap();
    assert_eq!(order.shipping_address, Some(berlin()));
    let gone = shop.create_within(&shop.stranger(), to_book(&address_id), BOUND).await;
    assert_eq!(reason(gone), Reason::UserNotAllowed);
    shop.assert_clean().await;
}
