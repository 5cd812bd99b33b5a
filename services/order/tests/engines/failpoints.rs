//! Every failpoint is passed by something: a name that nothing passes would make a crash test that tests nothing.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, atomic::Ordering},
};

use fail::FailScenario;
use serde_json::json;
use shop_proto::{
    order::{self as proto, OrderStatus, create_order_request::Destination},
    user::CreateAddressRequest,
};

use crate::{
    audit::run,
    harness::{BOUND, Shop, Wishes, berlin, create_request, until, usd},
    relay::Sink,
    webhook::notify,
};

#[tokio::test]
async fn every_failpoint_is_passed() {
    let scenario = FailScenario::setup();
    let passed: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    for name in shop_order::failpoints() {
        let (passed, name) = (Arc::clone(&passed), name);
        fail::cfg_callback(name.clone(), move || {
            passed.lock().unwrap().insert(name.clone());
        })
        .unwrap();
    }

    let (sink, url) = Sink::start().await;
    sink.to_refuse.store(1, Ordering::SeqCst);
    let wishes = Wishes { event_sink: Some(url), ..Wishes::default() };
    let mut shop = Shop::open_with(wishes).await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 100).await;

    // To the end and back, from an address of the book.
    let request = CreateAddressRequest { user_id: ada.id.to_string(), label: String::new(), address: Some(berlin()) };
    let address = shop.users().create_address(ada.says(request)).await.unwrap().into_inner().address.unwrap();
    let request = proto::CreateOrderRequest {
        destination: Some(Destination::AddressId(address.id)),
        ..create_request("key-1", &[(&tea, 1)])
    };
    let order = shop.create_within(&ada, request, BOUND).await.unwrap().order.unwrap();
    shop.pay(&order.id, "bank-1", usd(499)).await.unwrap();
    shop.ship(&order.id).await.unwrap();
    shop.deliver(&order.id).await.unwrap();
    shop.refund(&order.id, "back-1", usd(499), true).await.unwrap();

    // Paid by notice and cancelled; cancelled with product away; expired.
    let order = shop.reserved(&ada, &[(&tea, 1)]).await;
    let notice = json!({
        "id": "evt-1",
        "order_id": order.id,
        "reference": "pay-1",
        "amount": { "amount": 499, "currency": "USD" },
        "paid_at": "2026-11-22T10:00:00Z",
    });
    notify(&shop, &notice).await.unwrap();
    shop.cancel(&ada, &order.id).await.unwrap();
    let (cancelled, expired) = (shop.reserved(&ada, &[(&tea, 1)]).await, shop.reserved(&ada, &[(&tea, 1)]).await);
    shop.stop_product().await;
    shop.cancel(&ada, &cancelled.id).await.unwrap();
    shop.restart_product().await;
    shop.let_time_pass().await;
    shop.becomes(&expired.id, OrderStatus::Expired).await;
    shop.assert_clean().await;

    // Old keys.
    shop.stop_order().await;
    assert!(run(&shop, "UPDATE idempotency_keys SET created_at = 1").await > 0);
    shop.restart_order().await;

    let all: BTreeSet<_> = shop_order::failpoints().into_iter().collect();
    until("every failpoint", async || {
        let missing: Vec<_> = all.difference(&passed.lock().unwrap()).cloned().collect();
        missing.is_empty().then_some(())
    })
    .await;
    scenario.teardown();
}
