//! The main road: register, browse, order, pay, ship, deliver, refund.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    SETTLE_BOUND,
    client::{Client, address, order_of},
    shop::{Reached, Shop},
};

#[tokio::test]
async fn from_registration_to_refund() {
    let shop = Shop::start().await;
    let admin = Client::admin(&shop).await;
    let product = admin.product(1999, 5).await;
    let (customer, customer_id) = Client::customer(&shop).await;

    let page = customer.get("/products?limit=1&include=availability").await.expect(200);
    assert_eq!(page.body["items"][0]["id"], json!(product));
    assert_eq!(page.body["items"][0]["availability"]["available"], 5);
    assert_eq!(page.body["next_cursor"], Value::Null);

    let placed = customer.order("first-order", &order_of(product, 2)).await.expect(201);
    let order = placed.id();
    assert_eq!(placed.header("location"), Some(format!("/api/v1/orders/{order}").as_str()));
    assert_eq!(placed.body["status"], "reserved");
    assert_eq!(placed.body["user_id"], json!(customer_id));
    assert_eq!(placed.body["total"], json!({"amount": 3998, "currency": "USD"}));
    assert_eq!(placed.body["items"][0]["line_total"], json!({"amount": 3998, "currency": "USD"}));
    assert!(placed.body["expires_at"].is_string());
    assert_eq!(admin.inventory(product).await["available"], 3);

    let payment = json!({"reference": "bank-1", "amount": {"amount": 3998, "currency": "USD"}});
    admin.post(&format!("/orders/{order}/payments"), &payment).await.expect(201);
    admin.post(&format!("/orders/{order}/payments"), &payment).await.expect(200);
    let paid = customer.get(&format!("/orders/{order}")).await.expect(200);
    assert_eq!((&paid.body["status"], &paid.body["expires_at"]), (&json!("paid"), &Value::Null));

    let shipped = admin.post(&format!("/orders/{order}/ship"), &json!({})).await.expect(200);
    assert_eq!(shipped.body["status"], "shipped");
    admin.post(&format!("/orders/{order}/ship"), &json!({})).await.problem(409, "STATE_CONFLICT");
    admin.post(&format!("/orders/{order}/deliver"), &json!({})).await.expect(200);

    let refund = json!({"reference": "refund-1", "amount": {"amount": 3998, "currency": "USD"}, "restock": true});
    admin.post(&format!("/orders/{order}/refund"), &refund).await.expect(201);
    admin.post(&format!("/orders/{order}/refund"), &refund).await.expect(200);

    let history = customer.get(&format!("/orders/{order}/history")).await.expect(200);
    let states: Vec<_> = history.body["items"].as_array().unwrap().iter().map(|entry| entry["to"].clone()).collect();
    assert_eq!(states, ["pending", "reserved", "paid", "shipped", "delivered", "refunded"]);

    shop.settled_clean(SETTLE_BOUND).await;
    let stock = admin.inventory(product).await;
    assert_eq!((&stock["on_hand"], &stock["reserved"], &stock["available"]), (&json!(5), &json!(0), &json!(5)));
}

#[tokio::test]
async fn an_order_to_a_saved_address_keeps_its_own_copy() {
    let shop = Shop::start().await;
    let admin = Client::admin(&shop).await;
    let product = admin.product(100, 5).await;
    let (customer, _) = Client::customer(&shop).await;
    let mut home = address();
    home["label"] = json!("home");
    let saved = customer.post("/users/me/addresses", &home).await.expect(201).id();

    let body = json!({"items": [{"product_id": product, "quantity": 1}], "address_id": saved});
    let placed = customer.order("to-saved", &body).await.expect(201);
    customer.delete(&format!("/users/me/addresses/{saved}")).await.expect(204);

    let later = customer.get(&format!("/orders/{}", placed.id())).await.expect(200);
    assert_eq!(later.body["shipping_address"]["line1"], address()["line1"]);
    let gone = customer.order("to-saved-again", &body).await;
    assert_eq!(gone.problem(400, "VALIDATION_FAILED")["errors"][0]["pointer"], "/address_id");
    // A replay needs the address no more than the order does.
    assert_eq!(customer.order("to-saved", &body).await.expect(201).id(), placed.id());
}

#[tokio::test]
async fn one_key_fifty_times_at_once_is_one_order() {
    one_key_is_one_order(&Shop::start().await).await;
}

/// Places one order fifty times at once; no answer may be lost on the way.
pub(crate) async fn one_key_is_one_order(shop: &impl Reached) {
    let admin = Client::admin(shop).await;
    let product = admin.product(250, 100).await;
    let (customer, _) = Client::customer(shop).await;

    let body = order_of(product, 3);
    let answers = futures::future::join_all((0..50).map(|_| customer.order_until_settled("same-key", &body))).await;
    let first = answers[0].clone().expect(201);
    let mut originals = 0;
    for answer in answers {
        originals += u32::from(answer.header("idempotency-replayed").is_none());
        assert_eq!(answer.expect(201).body, first.body);
    }
    assert_eq!(originals, 1, "exactly one answer is the original");
    assert_eq!(admin.inventory(product).await["available"], 97);
    let orders = customer.get("/orders").await.expect(200);
    assert_eq!(orders.body["items"].as_array().unwrap().len(), 1);

    customer.order("same-key", &order_of(product, 4)).await.problem(409, "IDEMPOTENCY_KEY_REUSED");
    // The same JSON with its members in another order is the same request.
    let reordered = json!({"shipping_address": body["shipping_address"], "items": body["items"]});
    let replay = customer.order("same-key", &reordered).await.expect(201);
    assert_eq!((replay.id(), replay.header("idempotency-replayed")), (first.id(), Some("true")));
    // Keys belong to a user: another's same key is another order.
    let (other, _) = Client::customer(shop).await;
    assert_ne!(other.order("same-key", &body).await.expect(201).id(), first.id());
    shop.is_settled_clean(SETTLE_BOUND).await;
}

#[tokio::test]
async fn a_refused_order_is_kept_and_replayed() {
    let shop = Shop::start().await;
    let admin = Client::admin(&shop).await;
    let product = admin.product(250, 2).await;
    let (customer, _) = Client::customer(&shop).await;

    let refused = customer.order("too-many", &order_of(product, 3)).await;
    let order = refused.problem(409, "OUT_OF_STOCK")["order_id"].as_str().unwrap().to_owned();
    assert_eq!(refused.body["errors"][0]["pointer"], "/items/0/quantity");
    admin.adjust(product, 10).await;
    let replay = customer.order("too-many", &order_of(product, 3)).await;
    assert_eq!(replay.problem(409, "OUT_OF_STOCK")["order_id"], order.as_str());
    assert_eq!(replay.header("idempotency-replayed"), Some("true"));
    let kept = customer.get(&format!("/orders/{order}")).await.expect(200);
    assert_eq!((&kept.body["status"], &kept.body["total"]), (&json!("rejected"), &Value::Null));

    let unknown = customer.order("unknown", &order_of(Uuid::now_v7(), 1)).await;
    unknown.problem(409, "PRODUCT_NOT_ORDERABLE");
    shop.settled_clean(SETTLE_BOUND).await;
}

#[tokio::test]
async fn the_catalogue_is_changed_with_versions() {
    let shop = Shop::start().await;
    let admin = Client::admin(&shop).await;
    let product = admin.product(250, 2).await;
    let path = format!("/products/{product}");
    let anonymous = Client::anonymous(&shop);

    let read = anonymous.get(&path).await.expect(200);
    let etag = read.header("etag").unwrap().to_owned();
    let unchanged = anonymous.send(Method::GET, &path, &[("if-none-match", &etag)], None).await;
    assert_eq!(unchanged.status.as_u16(), 304);

    let change = json!({"name": "Renamed", "attributes": {"colour": "blue"}});
    admin.patch(&path, &change).await.problem(428, "PRECONDITION_REQUIRED");
    let changed = admin.send(Method::PATCH, &path, &[("if-match", &etag)], Some(&change)).await.expect(200);
    assert_eq!((&changed.body["name"], &changed.body["version"]), (&json!("Renamed"), &json!(2)));
    admin.send(Method::PATCH, &path, &[("if-match", &etag)], Some(&change)).await.problem(412, "STALE_VERSION");

    let etag = changed.header("etag").unwrap().to_owned();
    admin.send(Method::DELETE, &path, &[("if-match", &etag)], None).await.expect(204);
    assert_eq!(anonymous.get(&path).await.expect(200).body["status"], "archived");
    let listed = anonymous.get("/products").await.expect(200);
    assert_eq!(listed.body["items"], json!([]));
    let (customer, _) = Client::customer(&shop).await;
    customer.order("archived", &order_of(product, 1)).await.problem(409, "PRODUCT_NOT_ORDERABLE");
}
