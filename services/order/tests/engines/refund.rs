//! Money that goes back.

use shop_proto::{order::OrderStatus, status::Reason};

use crate::harness::{Shop, eur, reason, usd};

#[tokio::test]
async fn the_price_of_goods_that_left_goes_back_and_they_may_too() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let kept = shop.shipped(&ada, &[(&tea, 2)]).await;
    let refunded = shop.refund(&kept.id, "back-1", usd(998), false).await.unwrap();
    assert!(!refunded.replayed);
    assert_eq!(refunded.order.unwrap().status(), OrderStatus::Refunded);
    assert_eq!(shop.stock(&tea).await, (8, 0, 8), "the goods stay with the customer");

    let returned = shop.shipped(&ada, &[(&tea, 3)]).await;
    shop.deliver(&returned.id).await.unwrap();
    let refunded = shop.refund(&returned.id, "back-2", usd(3 * 499), true).await.unwrap();
    assert!(refunded.refund.unwrap().restock);
    shop.stock_becomes(&tea, (8, 0, 8)).await;
    shop.assert_clean().await;
}

#[tokio::test]
async fn the_same_refund_again_is_applied_once() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.shipped(&ada, &[(&tea, 2)]).await;
    let first = shop.refund(&order.id, "back-1", usd(998), true).await.unwrap();
    let again = shop.refund(&order.id, "back-1", usd(998), true).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.refund, first.refund);
    assert_eq!(reason(shop.refund(&order.id, "back-1", usd(1), true).await), Reason::ReferenceReused);
    let other = shop.shipped(&ada, &[(&tea, 2)]).await;
    assert_eq!(reason(shop.refund(&other.id, "back-1", usd(998), true).await), Reason::ReferenceReused);
    shop.stock_becomes(&tea, (8, 0, 8)).await;
    shop.assert_clean().await;
}

#[tokio::test]
async fn refunds_are_whole() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.shipped(&ada, &[(&tea, 2)]).await;
    for wrong in [usd(997), usd(999), usd(0), eur(998)] {
        let refusal = shop.refund(&order.id, "back-1", wrong, false).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::AmountMismatch);
        assert_eq!(refusal.metadata["expected_amount"], "998");
    }
    assert_eq!(reason(shop.refund(&order.id, "back-1", usd(-1), false).await), Reason::ValidationFailed);
    shop.refund(&order.id, "back-1", usd(998), false).await.unwrap();
}

#[tokio::test]
async fn what_is_owed_is_settled_in_every_state() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;

    let cancelled = shop.paid(&ada, &[(&tea, 2)]).await;
    shop.cancel(&ada, &cancelled.id).await.unwrap();
    assert_eq!(reason(shop.refund(&cancelled.id, "back-1", usd(1), false).await), Reason::AmountMismatch);
    let refunded = shop.refund(&cancelled.id, "back-1", usd(998), true).await.unwrap();
    assert!(!refunded.refund.unwrap().restock, "the cancel brought the goods back");
    let settled = refunded.order.unwrap();
    assert_eq!((settled.status(), settled.refund_due), (OrderStatus::Cancelled, None));
    assert_eq!(reason(shop.refund(&cancelled.id, "back-2", usd(998), false).await), Reason::StateConflict);

    let surplus = shop.paid(&ada, &[(&tea, 2)]).await;
    assert_eq!(reason(shop.refund(&surplus.id, "back-3", usd(998), false).await), Reason::StateConflict);
    shop.pay(&surplus.id, "bank-2", usd(5)).await.unwrap();
    let settled = shop.refund(&surplus.id, "back-3", usd(5), false).await.unwrap().order.unwrap();
    assert_eq!((settled.status(), settled.refund_due), (OrderStatus::Paid, None));
    shop.ship(&surplus.id).await.unwrap();
    shop.assert_clean().await;
    assert_eq!(shop.stock(&tea).await, (8, 0, 8));
}

#[tokio::test]
async fn an_order_paid_twice_gets_both_back() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.shipped(&ada, &[(&tea, 2)]).await;
    shop.pay(&order.id, "bank-2", usd(998)).await.unwrap();
    let first = shop.refund(&order.id, "back-1", usd(998), false).await.unwrap().order.unwrap();
    assert_eq!((first.status(), first.refund_due), (OrderStatus::Shipped, None), "the due goes first");
    let second = shop.refund(&order.id, "back-2", usd(998), false).await.unwrap().order.unwrap();
    assert_eq!(second.status(), OrderStatus::Refunded);
    shop.assert_clean().await;
}
