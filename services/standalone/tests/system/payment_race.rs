//! A payment that arrives as the order expires or is cancelled: either it buys, or it is to be given back.

use std::time::Duration;

use aws_lc_rs::hmac;
use futures::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};
use shop_types::Instant;
use uuid::Uuid;

use crate::{
    SETTLE_BOUND,
    client::{Client, order_of},
    random_below,
    shop::{Reached, Shop, WEBHOOK_SECRET},
};

const ORDERS: u64 = 1_000;
const AT_ONCE: usize = 40;
const PRICE: i64 = 700;
pub(crate) const RACED_PAYMENT_TIMEOUT: &str = "1500ms";

/// What the payment races against.
#[derive(Debug, Clone, Copy)]
enum Rival {
    Expiry,
    Cancellation,
}

#[tokio::test]
async fn a_payment_as_the_order_expires_or_is_cancelled_is_never_lost() {
    let shop = Shop::start_with(&[("SHOP_PAYMENT_TIMEOUT", RACED_PAYMENT_TIMEOUT)]).await;
    payments_race(&shop).await;
}

/// Pays [`ORDERS`] orders as they expire or are cancelled; the shop's payment time-out is [`RACED_PAYMENT_TIMEOUT`].
pub(crate) async fn payments_race(shop: &impl Reached) {
    let admin = Client::admin(shop).await;
    let stock = i64::try_from(ORDERS).unwrap();
    let product = admin.product(PRICE, stock).await;
    let (customer, _) = Client::customer(shop).await;

    let orders: Vec<Uuid> = stream::iter(0..ORDERS)
        .map(|n| race(&customer, product, if n % 2 == 0 { Rival::Expiry } else { Rival::Cancellation }))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;

    shop.is_settled_clean(SETTLE_BOUND).await;
    let mut paid = 0;
    for order in orders {
        let order = customer.get(&format!("/orders/{order}")).await.expect(200).body;
        match order["status"].as_str().unwrap() {
            "paid" => {
                paid += 1;
                assert_eq!(order["refund_due"], Value::Null, "{order:#}");
            }
            "expired" | "cancelled" => {
                assert_eq!(order["refund_due"], json!({"amount": PRICE, "currency": "USD"}), "{order:#}");
            }
            other => panic!("an order that was paid for is {other}: {order:#}"),
        }
    }
    // Both sides of the race were met, or it was none.
    assert!((1..stock).contains(&paid), "{paid} of {stock} were paid");
    let inventory = admin.inventory(product).await;
    assert_eq!((&inventory["available"], &inventory["reserved"]), (&json!(stock - paid), &json!(0)), "{paid} paid");
}

/// Places an order, and pays it while its rival strikes.
async fn race(customer: &Client, product: Uuid, rival: Rival) -> Uuid {
    let placed = customer.order_until_settled(&Uuid::new_v4().to_string(), &order_of(product, 1)).await.expect(201);
    let order = placed.id();
    let offset = Duration::from_millis(random_below(120));
    match rival {
        Rival::Expiry => {
            let expires: Instant = placed.body["expires_at"].as_str().unwrap().parse().unwrap();
            let left = expires.since(Instant::now());
            tokio::time::sleep((left + offset).saturating_sub(Duration::from_millis(60))).await;
            pay(customer, order).await;
        }
        Rival::Cancellation => {
            let cancel = async {
                tokio::time::sleep(Duration::from_millis(random_below(60))).await;
                let path = format!("/orders/{order}/cancel");
                let answer = customer.retrying(|client| {
                    let path = path.clone();
                    async move { client.try_send(Method::POST, &path, &[], Some(&json!({}))).await }
                });
                assert!(matches!(answer.await.status.as_u16(), 200 | 409));
            };
            let pay = async {
                tokio::time::sleep(offset / 2).await;
                pay(customer, order).await;
            };
            tokio::join!(cancel, pay);
        }
    }
    order
}

/// Delivers the provider's notice until it is taken, as providers do.
async fn pay(client: &Client, order: Uuid) {
    let notice = notice(order, PRICE);
    let answer = client
        .retrying(|client| {
            let notice = notice.clone();
            async move { client.webhook(&notice, &signature(&notice)).await }
        })
        .await;
    assert!(answer.status.is_success(), "{:#}", answer.body);
}

/// A payment provider's notice of a payment for an order.
pub(crate) fn notice(order: Uuid, amount: i64) -> String {
    json!({
        "id": Uuid::new_v4(), "order_id": order, "reference": format!("ref-{order}"),
        "amount": {"amount": amount, "currency": "USD"}, "paid_at": Instant::now().to_string(),
    })
    .to_string()
}

/// `X-Shop-Signature` for a body, as of now.
pub(crate) fn signature(body: &str) -> String {
    let at = Instant::now().as_seconds();
    let key = hmac::Key::new(hmac::HMAC_SHA256, WEBHOOK_SECRET.as_bytes());
    let tag = hmac::sign(&key, format!("{at}.{body}").as_bytes());
    format!("t={at},v1={}", hex::encode(tag))
}
