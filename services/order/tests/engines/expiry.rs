//! Orders that are not paid in time.

use std::time::Duration;

use shop_proto::{
    order::{OrderReason, OrderStatus, PaymentOutcome},
    status::Reason,
};

use crate::harness::{Shop, Wishes, reason, usd};

async fn hasty_shop() -> Shop {
    Shop::open_with(Wishes { payment_timeout: Duration::from_secs(1), ..Wishes::default() }).await
}

#[tokio::test]
async fn an_order_expires_and_gives_its_stock_back() {
    let shop = hasty_shop().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 4)]).await;
    let expired = shop.becomes(&order.id, OrderStatus::Expired).await;
    assert_eq!(expired.reason(), OrderReason::PaymentOverdue);
    assert_eq!(shop.history(&order.id).await.pop().unwrap().actor, "order");
    shop.stock_becomes(&tea, (10, 0, 10)).await;

    let late = shop.pay(&order.id, "bank-1", usd(4 * 499)).await.unwrap();
    assert_eq!(late.payment.unwrap().outcome(), PaymentOutcome::RefundDue);
    assert_eq!(late.order.unwrap().refund_due, Some(usd(4 * 499)));
    for refused in [shop.cancel(&ada, &order.id).await, shop.ship(&order.id).await, shop.deliver(&order.id).await] {
        assert_eq!(reason(refused), Reason::StateConflict);
    }
    let settled = shop.refund(&order.id, "back-1", usd(4 * 499), false).await.unwrap().order.unwrap();
    assert_eq!((settled.status(), settled.refund_due), (OrderStatus::Expired, None));
    assert_eq!(reason(shop.refund(&order.id, "back-2", usd(4 * 499), false).await), Reason::StateConflict);
    shop.assert_clean().await;
}

#[tokio::test]
async fn what_is_paid_does_not_expire() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let paid = shop.paid(&ada, &[(&tea, 1)]).await;
    // Another order tells when time was over for both.
    let unpaid = shop.reserved(&ada, &[(&tea, 1)]).await;
    shop.let_time_pass().await;
    shop.becomes(&unpaid.id, OrderStatus::Expired).await;
    assert_eq!(shop.get(&ada, &paid.id).await.unwrap().status(), OrderStatus::Paid);
    shop.assert_clean().await;
}

#[tokio::test]
async fn orders_whose_time_came_while_nobody_ran_expire_at_the_next_start() {
    let mut shop = hasty_shop().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 1)]).await;
    shop.stop_order().await;
    shop.restart_order().await;
    shop.becomes(&order.id, OrderStatus::Expired).await;
    shop.assert_clean().await;
}
