//! Calling orders off.

use shop_proto::{
    order::{self as proto, OrderReason, OrderStatus},
    status::Reason,
};

use crate::harness::{Shop, answer, reason, usd};

#[tokio::test]
async fn a_reserved_order_gives_its_stock_back() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 4)]).await;

    let request = proto::CancelOrderRequest { order_id: order.id.clone(), note: " Changed my mind. ".to_owned() };
    let cancelled = shop.orders.clone().cancel_order(ada.says(request)).await.unwrap().into_inner().order.unwrap();
    assert_eq!((cancelled.status(), cancelled.reason()), (OrderStatus::Cancelled, OrderReason::CancelledByCustomer));
    assert_eq!(cancelled.refund_due, None);
    let last = shop.history(&order.id).await.pop().unwrap();
    assert_eq!((last.note.as_str(), last.actor), ("Changed my mind.", ada.id.to_string()));
    shop.stock_becomes(&tea, (10, 0, 10)).await;
    shop.assert_clean().await;
}

#[tokio::test]
async fn a_paid_order_owes_its_price_and_brings_the_goods_back() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.paid(&ada, &[(&tea, 4)]).await;
    assert_eq!(order.expires_at, None, "what is paid does not expire");
    shop.stock_becomes(&tea, (6, 0, 6)).await;

    let cancelled = shop.cancel(&shop.staff, &order.id).await.unwrap();
    assert_eq!((cancelled.status(), cancelled.reason()), (OrderStatus::Cancelled, OrderReason::CancelledByStaff));
    assert_eq!(cancelled.refund_due, Some(usd(4 * 499)));
    shop.stock_becomes(&tea, (10, 0, 10)).await;
    shop.assert_clean().await;
}

#[tokio::test]
async fn a_cancel_right_after_the_payment_waits_for_its_commit() {
    let mut shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 4)]).await;
    shop.stop_product().await;
    shop.pay(&order.id, "ref", usd(4 * 499)).await.unwrap();
    let cancelled = shop.cancel(&ada, &order.id).await.unwrap();
    assert_eq!((cancelled.status(), cancelled.refund_due), (OrderStatus::Cancelled, Some(usd(4 * 499))));

    shop.restart_product().await;
    shop.assert_clean().await;
    assert_eq!(shop.stock(&tea).await, (10, 0, 10));
}

#[tokio::test]
async fn a_pending_order_is_cancelled_by_its_saga() {
    let mut shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    shop.stop_product().await;
    let request = crate::harness::create_request("key-1", &[(&tea, 4)]);
    let pending = shop.create_within(&ada, request, std::time::Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(pending.reason, Reason::OrderPending);
    let id = &pending.metadata["order_id"];

    let cancelled = shop.cancel(&ada, id).await.unwrap();
    assert_eq!((cancelled.status(), cancelled.reason()), (OrderStatus::Cancelled, OrderReason::CancelledByCustomer));
    let again = shop.create(&ada, "key-1", &[(&tea, 4)]).await.unwrap();
    assert_eq!(again.order.unwrap().status(), OrderStatus::Cancelled);
    assert_eq!(reason(shop.cancel(&ada, id).await), Reason::StateConflict);

    // A Reserve may have been on its way; the tombstone takes care of it.
    shop.restart_product().await;
    shop.assert_clean().await;
    assert_eq!(shop.stock(&tea).await, (10, 0, 10));
}

#[tokio::test]
async fn a_note_has_a_bound() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 1)]).await;
    let request = proto::CancelOrderRequest { order_id: order.id.clone(), note: "x".repeat(501) };
    let refused = answer(shop.orders.clone().cancel_order(ada.says(request)).await);
    assert_eq!(reason(refused), Reason::ValidationFailed);
    assert_eq!(shop.get(&ada, &order.id).await.unwrap().status(), OrderStatus::Reserved);
}
