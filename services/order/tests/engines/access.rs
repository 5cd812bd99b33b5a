//! Whose orders are whose.

use shop_proto::{
    order::{self as proto},
    status::Reason,
};
use shop_types::new_id;

use crate::harness::{Person, Shop, answer, reason, usd};

async fn list(shop: &Shop, person: &Person, user_id: &str) -> Vec<String> {
    let request = proto::ListOrdersRequest { user_id: user_id.to_owned(), ..Default::default() };
    let page = answer(shop.orders.clone().list_orders(person.says(request)).await).unwrap();
    page.orders.into_iter().map(|order| order.id).collect()
}

#[tokio::test]
async fn anothers_order_is_not_there() {
    let shop = Shop::open().await;
    let (ada, bob) = (shop.customer().await, shop.customer().await);
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 1)]).await;

    assert_eq!(reason(shop.get(&bob, &order.id).await), Reason::NotFound);
    assert_eq!(reason(shop.cancel(&bob, &order.id).await), Reason::NotFound);
    let request = proto::ListOrderHistoryRequest { order_id: order.id.clone(), ..Default::default() };
    let history = answer(shop.orders.clone().list_order_history(bob.says(request)).await);
    assert_eq!(reason(history), Reason::NotFound);
    assert_eq!(shop.get(&ada, &order.id).await.unwrap(), order);
    assert_eq!(shop.get(&shop.staff, &order.id).await.unwrap(), order);
}

#[tokio::test]
async fn customers_list_their_own_and_staff_everybodys() {
    let shop = Shop::open().await;
    let (ada, bob) = (shop.customer().await, shop.customer().await);
    let tea = shop.product(499, 10).await;
    let (hers, his) = (shop.reserved(&ada, &[(&tea, 1)]).await.id, shop.reserved(&bob, &[(&tea, 1)]).await.id);
    let (ada_id, bob_id) = (ada.id.to_string(), bob.id.to_string());

    assert_eq!(list(&shop, &ada, "").await, [hers.as_str()]);
    assert_eq!(list(&shop, &ada, &ada_id).await, [hers.as_str()]);
    assert!(list(&shop, &ada, &bob_id).await.is_empty());
    assert_eq!(list(&shop, &shop.staff, "").await, [his.clone(), hers], "newest first");
    assert_eq!(list(&shop, &shop.staff, &bob_id).await, [his]);
    assert!(list(&shop, &shop.staff, &new_id().to_string()).await.is_empty());
}

#[tokio::test]
async fn what_is_staffs_is_not_the_owners() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 1)]).await;
    let mut orders = shop.orders.clone();
    let id = || order.id.clone();
    let payment =
        proto::RecordPaymentRequest { order_id: id(), reference: "bank-1".to_owned(), amount: Some(usd(499)) };
    assert_eq!(reason(answer(orders.record_payment(ada.says(payment)).await)), Reason::Forbidden);
    let sending = proto::ShipOrderRequest { order_id: id() };
    assert_eq!(reason(answer(orders.ship_order(ada.says(sending)).await)), Reason::Forbidden);
    let deliver = proto::DeliverOrderRequest { order_id: id() };
    assert_eq!(reason(answer(orders.deliver_order(ada.says(deliver)).await)), Reason::Forbidden);
    let refund = proto::RefundOrderRequest { order_id: id(), ..Default::default() };
    assert_eq!(reason(answer(orders.refund_order(ada.says(refund)).await)), Reason::Forbidden);
    let nobody = orders.get_order(proto::GetOrderRequest { order_id: id() }).await;
    assert_eq!(reason(answer(nobody)), Reason::Unauthenticated);
}

#[tokio::test]
async fn staff_buys_like_anybody_and_cancels_its_own_as_a_customer() {
    let shop = Shop::open().await;
    let tea = shop.product(499, 10).await;
    // The staff of these tests has no account, so it may not order; that it is asked about shows that its role does not
    // keep it from ordering.
    let refused = shop.create(&shop.staff, "key-1", &[(&tea, 1)]).await;
    assert_eq!(reason(refused), Reason::UserNotAllowed);
}
