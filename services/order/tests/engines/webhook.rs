//! The payment provider's notices.

use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use shop_proto::{
    order::{self as proto, OrderStatus},
    status::{Reason, Refusal},
};
use shop_types::{Instant, new_id};

use crate::harness::{Shop, WEBHOOK_SECRET, answer, eur, pointers, reason, usd};

fn notice(id: &str, order_id: &str, reference: &str, amount: i64, currency: &str) -> Value {
    json!({
        "id": id,
        "order_id": order_id,
        "reference": reference,
        "amount": { "amount": amount, "currency": currency },
        "paid_at": "2026-11-22T10:00:00Z",
    })
}

fn signature(at: Instant, secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let message = [format!("{}.", at.as_seconds()).as_bytes(), body].concat();
    format!("t={},v1={}", at.as_seconds(), hex::encode(hmac::sign(&key, &message)))
}

async fn send(shop: &Shop, body: &[u8], signature: String) -> Result<bool, Refusal> {
    let request = proto::ReceivePaymentWebhookRequest { body: body.to_vec(), signature };
    answer(shop.orders.clone().receive_payment_webhook(request).await).map(|received| received.replayed)
}

/// Sends a notice as the provider does; whether it was known.
pub(crate) async fn notify(shop: &Shop, notice: &Value) -> Result<bool, Refusal> {
    let body = notice.to_string().into_bytes();
    let signature = signature(Instant::now(), WEBHOOK_SECRET, &body);
    send(shop, &body, signature).await
}

#[tokio::test]
async fn a_notice_pays_once() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 2)]).await;
    let paid = notice("evt-1", &order.id, "pay-1", 998, "USD");
    assert!(!notify(&shop, &paid).await.unwrap());
    assert!(notify(&shop, &paid).await.unwrap(), "a known id");
    // Another notice of the same payment, and staff that saw it too.
    assert!(!notify(&shop, &notice("evt-2", &order.id, "pay-1", 998, "USD")).await.unwrap());
    assert!(shop.pay(&order.id, "pay-1", usd(998)).await.unwrap().replayed);

    let now = shop.get(&ada, &order.id).await.unwrap();
    assert_eq!((now.status(), now.refund_due, now.version), (OrderStatus::Paid, None, 3));
    assert_eq!(shop.history(&order.id).await.pop().unwrap().actor, "payment-provider");
    shop.assert_clean().await;
}

#[tokio::test]
async fn what_does_not_fit_is_stored_and_owed_back() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 2)]).await;
    // Another currency, a wrong amount, and nothing at all.
    notify(&shop, &notice("evt-1", &order.id, "pay-1", 998, "EUR")).await.unwrap();
    notify(&shop, &notice("evt-2", &order.id, "pay-2", 1, "USD")).await.unwrap();
    notify(&shop, &notice("evt-3", &order.id, "pay-3", 0, "USD")).await.unwrap();
    // The reference of another payment, more than can be, and an order that never was.
    notify(&shop, &notice("evt-4", &order.id, "pay-2", 2, "USD")).await.unwrap();
    assert!(notify(&shop, &notice("evt-4", &order.id, "pay-2", 2, "USD")).await.unwrap());
    notify(&shop, &notice("evt-6", &order.id, "pay-6", i64::MAX, "USD")).await.unwrap();
    notify(&shop, &notice("evt-5", &new_id().to_string(), "pay-5", 998, "USD")).await.unwrap();
    assert!(notify(&shop, &notice("evt-5", &new_id().to_string(), "pay-5", 998, "USD")).await.unwrap());

    let now = shop.get(&ada, &order.id).await.unwrap();
    assert_eq!((now.status(), now.refund_due), (OrderStatus::Reserved, Some(usd(1 + 2))), "the order's currency first");
    let settled = shop.refund(&order.id, "back-1", usd(3), false).await.unwrap().order.unwrap();
    assert_eq!(settled.refund_due, Some(eur(998)));
    let settled = shop.refund(&order.id, "back-2", eur(998), false).await.unwrap().order.unwrap();
    assert_eq!(settled.refund_due, None);
    shop.assert_clean().await;
}

#[tokio::test]
async fn only_what_is_signed_counts() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 2)]).await;
    let body = notice("evt-1", &order.id, "pay-1", 998, "USD").to_string().into_bytes();
    let now = Instant::now();
    let old = Instant::from_micros(now.as_micros() - 301_000_000);
    let cases = [
        ("no signature", String::new()),
        ("another secret", signature(now, "another secret", &body)),
        ("another body", signature(now, WEBHOOK_SECRET, b"{}")),
        ("too old", signature(old, WEBHOOK_SECRET, &body)),
        ("from the future", signature(now.plus(Duration::from_secs(310)), WEBHOOK_SECRET, &body)),
    ];
    for (name, signature) in cases {
        assert_eq!(reason(send(&shop, &body, signature).await), Reason::InvalidSignature, "{name}");
    }
    assert_eq!(shop.get(&ada, &order.id).await.unwrap(), order);
}

#[tokio::test]
async fn what_can_not_be_read_is_told() {
    let shop = Shop::open().await;
    let signed =
        async |body: &[u8]| send(&shop, body, signature(Instant::now(), WEBHOOK_SECRET, body)).await.unwrap_err();
    for body in [&b"{"[..], b"[]", b"\xff", b"{\"id\":1}"] {
        assert_eq!(signed(body).await.reason, Reason::MalformedRequest);
    }
    let wrong = notice(" ", "7", "\u{0}", -1, "usd").to_string();
    let expected = ["/id", "/order_id", "/reference", "/amount/currency", "/amount/amount"];
    assert_eq!(pointers(&signed(wrong.as_bytes()).await), expected);
    assert_eq!(signed(&vec![b' '; 64 * 1024 + 1]).await.reason, Reason::BodyTooLarge);
}
