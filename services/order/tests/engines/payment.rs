//! Money that comes in, as staff records it.

use futures::future;
use shop_proto::{
    order::{OrderStatus, PaymentOutcome},
    status::Reason,
};

use crate::harness::{Shop, Wishes, eur, pointers, reason, usd};

/// Minor units of one payment at most.
const MOST: i64 = 1_000_000_000_000_000;

#[tokio::test]
async fn the_exact_total_pays_and_takes_the_goods_out_of_stock() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 2)]).await;

    let paid = shop.pay(&order.id, "bank-1", usd(998)).await.unwrap();
    assert!(!paid.replayed);
    let payment = paid.payment.unwrap();
    assert_eq!((payment.outcome(), payment.reference.as_str()), (PaymentOutcome::Applied, "bank-1"));
    let now = paid.order.unwrap();
    assert_eq!((now.status(), now.expires_at, now.refund_due), (OrderStatus::Paid, None, None));
    assert_eq!(shop.history(&order.id).await.pop().unwrap().actor, shop.staff.id.to_string());
    shop.stock_becomes(&tea, (8, 0, 8)).await;
    shop.assert_clean().await;
}

#[tokio::test]
async fn the_same_payment_again_is_applied_once() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 2)]).await;
    let first = shop.pay(&order.id, "bank-1", usd(998)).await.unwrap();
    let again = shop.pay(&order.id, " bank-1 ", usd(998)).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.payment, first.payment);
    assert_eq!(again.order.unwrap().version, first.order.unwrap().version);

    assert_eq!(reason(shop.pay(&order.id, "bank-1", usd(999)).await), Reason::ReferenceReused);
    let other = shop.reserved(&ada, &[(&tea, 2)]).await;
    assert_eq!(reason(shop.pay(&other.id, "bank-1", usd(998)).await), Reason::ReferenceReused);
    assert_eq!(shop.get(&ada, &other.id).await.unwrap().status(), OrderStatus::Reserved);
    shop.assert_clean().await;
}

#[tokio::test]
async fn one_payment_sent_twenty_times_at_once_is_applied_once() {
    let shop = Shop::open_with(Wishes::replicated()).await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 2)]).await;
    let answers = future::join_all((0..20).map(|_| shop.pay(&order.id, "bank-1", usd(998)))).await;
    let applied = answers.into_iter().map(Result::unwrap).filter(|paid| !paid.replayed).count();
    assert_eq!(applied, 1);
    assert_eq!(shop.get(&ada, &order.id).await.unwrap().refund_due, None);
    shop.assert_clean().await;
}

#[tokio::test]
async fn a_second_payment_is_owed_back() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.paid(&ada, &[(&tea, 2)]).await;
    let second = shop.pay(&order.id, "bank-2", usd(998)).await.unwrap();
    assert_eq!(second.payment.unwrap().outcome(), PaymentOutcome::RefundDue);
    let now = second.order.unwrap();
    assert_eq!((now.status(), now.refund_due), (OrderStatus::Paid, Some(usd(998))));
    let third = shop.pay(&order.id, "bank-3", usd(2)).await.unwrap().order.unwrap();
    assert_eq!(third.refund_due, Some(usd(1_000)), "dues add up");
    shop.assert_clean().await;
}

#[tokio::test]
async fn a_wrong_amount_is_owed_back_and_pays_nothing() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 2)]).await;
    for (reference, amount, due) in [("bank-1", 997, 997), ("bank-2", 999, 1_996)] {
        let paid = shop.pay(&order.id, reference, usd(amount)).await.unwrap();
        assert_eq!(paid.payment.unwrap().outcome(), PaymentOutcome::RefundDue);
        let now = paid.order.unwrap();
        assert_eq!((now.status(), now.refund_due), (OrderStatus::Reserved, Some(usd(due))));
    }
    // The right one still pays.
    let paid = shop.pay(&order.id, "bank-3", usd(998)).await.unwrap().order.unwrap();
    assert_eq!((paid.status(), paid.refund_due), (OrderStatus::Paid, Some(usd(1_996))));
    shop.assert_clean().await;
}

#[tokio::test]
async fn money_for_an_order_that_is_over_is_owed_back() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let cancelled = shop.reserved(&ada, &[(&tea, 2)]).await;
    shop.cancel(&ada, &cancelled.id).await.unwrap();
    let paid = shop.pay(&cancelled.id, "bank-1", usd(998)).await.unwrap();
    let now = paid.order.unwrap();
    assert_eq!((now.status(), now.refund_due), (OrderStatus::Cancelled, Some(usd(998))));

    let refusal = shop.create(&ada, "key-1", &[(&tea, 999)]).await.unwrap_err();
    let rejected = &refusal.metadata["order_id"];
    let paid = shop.pay(rejected, "bank-2", usd(998)).await.unwrap();
    assert_eq!(paid.order.unwrap().refund_due, Some(usd(998)));
    shop.assert_clean().await;
}

#[tokio::test]
async fn staff_that_names_another_currency_is_told() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 2)]).await;
    let refusal = shop.pay(&order.id, "bank-1", eur(998)).await.unwrap_err();
    assert_eq!((refusal.reason, pointers(&refusal)), (Reason::ValidationFailed, vec!["/amount/currency"]));
    let refusal = shop.pay(&order.id, "", usd(-1)).await.unwrap_err();
    assert_eq!(pointers(&refusal), ["/reference", "/amount/amount"]);
    let refusal = shop.pay(&order.id, "bank-1", usd(0)).await.unwrap_err();
    assert_eq!(pointers(&refusal), ["/amount/amount"]);
    assert_eq!(shop.get(&ada, &order.id).await.unwrap(), order, "nothing was recorded");
}

#[tokio::test]
async fn what_is_owed_back_stays_countable() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.paid(&ada, &[(&tea, 2)]).await;
    for too_much in [MOST + 1, i64::MAX] {
        let refusal = shop.pay(&order.id, "bank-2", usd(too_much)).await.unwrap_err();
        assert_eq!((refusal.reason, pointers(&refusal)), (Reason::ValidationFailed, vec!["/amount/amount"]));
    }
    for reference in ["bank-2", "bank-3"] {
        shop.pay(&order.id, reference, usd(MOST)).await.unwrap();
    }
    assert_eq!(shop.cancel(&ada, &order.id).await.unwrap().refund_due, Some(usd(2 * MOST + 998)));
    shop.refund(&order.id, "back-1", usd(2 * MOST + 998), false).await.unwrap();
    shop.assert_clean().await;
}

#[tokio::test]
async fn a_free_order_is_paid_by_nothing() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let sample = shop.product(0, 10).await;
    let order = shop.paid(&ada, &[(&sample, 1)]).await;
    assert_eq!((order.status(), order.total), (OrderStatus::Paid, Some(usd(0))));
    shop.assert_clean().await;
}
