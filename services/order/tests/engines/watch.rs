//! Watching an order.

use std::time::Duration;

use futures::future;
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use shop_proto::{
    order::{self as proto, OrderStatus, order_service_client::OrderServiceClient},
    status::{Reason, Refusal},
};
use shop_types::{Instant, new_id};
use tokio::time;
use tonic::Streaming;

use crate::harness::{BOUND, Person, Shop, answer, pointers, pool, reason, usd};

/// Other replicas' changes are promised within about a second; the rest is for a busy machine.
const OTHERS_BOUND: Duration = Duration::from_secs(5);

/// An open stream.
struct Watch(Streaming<proto::WatchOrderResponse>);

impl Watch {
    async fn message(&mut self) -> Result<Option<proto::WatchOrderResponse>, Refusal> {
        let message = time::timeout(BOUND, self.0.message()).await.expect("the stream was silent for too long");
        message.map_err(|status| Refusal::from_status(&status))
    }

    /// The next message that says more than that the stream lives.
    async fn word(&mut self) -> Result<Option<proto::WatchOrderResponse>, Refusal> {
        loop {
            let message = self.message().await?;
            if message != Some(proto::WatchOrderResponse::default()) {
                return Ok(message);
            }
        }
    }

    /// The version of the next entry, and where it leads.
    async fn entry(&mut self) -> (i64, OrderStatus) {
        let entry = self.word().await.unwrap().unwrap().entry.unwrap();
        (entry.version, entry.to())
    }

    /// The stream says that it is finished, and ends.
    async fn finishes(&mut self) {
        let last = proto::WatchOrderResponse { entry: None, finished: true };
        assert_eq!(self.word().await, Ok(Some(last)));
        assert_eq!(self.word().await, Ok(None));
    }
}

impl Shop {
    async fn watch(&self, person: &Person, id: &str, after_version: i64) -> Result<Watch, Refusal> {
        let request = proto::WatchOrderRequest { order_id: id.to_owned(), after_version };
        answer(self.orders.clone().watch_order(person.says(request)).await).map(Watch)
    }
}

#[tokio::test]
async fn every_change_is_seen_once_and_in_order_from_the_first_to_the_last() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 1)]).await;
    let mut hers = shop.watch(&ada, &order.id, 0).await.unwrap();
    let mut staffs = shop.watch(&shop.staff, &order.id, 2).await.unwrap();
    assert_eq!(hers.entry().await, (1, OrderStatus::Pending));
    assert_eq!(hers.entry().await, (2, OrderStatus::Reserved));

    shop.pay(&order.id, "bank-1", usd(499)).await.unwrap();
    assert_eq!(hers.entry().await, (3, OrderStatus::Paid));
    shop.ship(&order.id).await.unwrap();
    shop.deliver(&order.id).await.unwrap();
    shop.pay(&order.id, "bank-2", usd(1)).await.unwrap();
    shop.refund(&order.id, "back-1", usd(1), false).await.unwrap();
    shop.refund(&order.id, "back-2", usd(499), true).await.unwrap();
    let rest = [
        (4, OrderStatus::Shipped),
        (5, OrderStatus::Delivered),
        (6, OrderStatus::Delivered),
        (7, OrderStatus::Delivered),
        (8, OrderStatus::Refunded),
    ];
    for expected in rest {
        assert_eq!(hers.entry().await, expected);
    }
    hers.finishes().await;

    assert_eq!(staffs.entry().await, (3, OrderStatus::Paid));
    for expected in rest {
        assert_eq!(staffs.entry().await, expected);
    }
    staffs.finishes().await;

    let listed = shop.history(&order.id).await;
    let mut again = shop.watch(&ada, &order.id, 5).await.unwrap();
    for entry in &listed[5..] {
        assert_eq!(again.word().await.unwrap().unwrap().entry.as_ref(), Some(entry));
    }
    again.finishes().await;
    for after in [8, 9, i64::MAX] {
        shop.watch(&ada, &order.id, after).await.unwrap().finishes().await;
    }
}

#[tokio::test]
async fn what_is_owed_back_keeps_a_stream_open() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.paid(&ada, &[(&tea, 1)]).await;
    shop.cancel(&ada, &order.id).await.unwrap();
    let mut watch = shop.watch(&ada, &order.id, 3).await.unwrap();
    assert_eq!(watch.entry().await, (4, OrderStatus::Cancelled));
    shop.refund(&order.id, "back-1", usd(499), false).await.unwrap();
    assert_eq!(watch.entry().await, (5, OrderStatus::Cancelled));
    watch.finishes().await;
}

#[tokio::test]
async fn an_order_is_watched_by_its_owner_and_staff() {
    let shop = Shop::open().await;
    let (ada, bob) = (shop.customer().await, shop.customer().await);
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 1)]).await;
    assert_eq!(reason(shop.watch(&bob, &order.id, 0).await.map(drop)), Reason::NotFound);
    assert_eq!(reason(shop.watch(&ada, &new_id().to_string(), 0).await.map(drop)), Reason::NotFound);
    assert_eq!(reason(shop.watch(&ada, "order-1", 0).await.map(drop)), Reason::NotFound);
    let refusal = shop.watch(&ada, &order.id, -1).await.map(drop).unwrap_err();
    assert_eq!((refusal.reason, pointers(&refusal)), (Reason::ValidationFailed, vec!["after_version"]));
    shop.watch(&ada, &order.id, 0).await.unwrap();
    shop.watch(&shop.staff, &order.id, 0).await.unwrap();
}

/// What another process writes is in the database and nowhere else.
#[tokio::test]
async fn what_another_process_changes_is_seen_and_silence_is_broken() {
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 1)]).await;
    let mut watch = shop.watch(&ada, &order.id, 2).await.unwrap();
    let quiet = watch.message().await.unwrap().unwrap();
    assert_eq!(quiet, proto::WatchOrderResponse::default(), "a message that says nothing but that the stream lives");

    let another = shop.order_database().connect().await;
    for version in 3..6 {
        let at = Instant::now().as_micros();
        let change = another.begin().await.unwrap();
        change.execute_unprepared(&format!("UPDATE orders SET version = {version}")).await.unwrap();
        let entry = format!(
            "INSERT INTO order_history (order_id, version, from_status, to_status, actor, at)
             SELECT id, version, status, status, 'another', {at} FROM orders"
        );
        change.execute_unprepared(&entry).await.unwrap();
        change.commit().await.unwrap();
        let seen = time::timeout(OTHERS_BOUND, watch.entry()).await;
        assert_eq!(seen.expect("seen in time"), (version, OrderStatus::Reserved));
    }
    another.close().await.unwrap();
}

#[tokio::test]
async fn a_server_that_leaves_ends_its_streams_and_the_next_goes_on() {
    let mut shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 1)]).await;
    let mut watch = shop.watch(&ada, &order.id, 0).await.unwrap();
    assert_eq!(watch.entry().await.0, 1);
    assert_eq!(watch.entry().await.0, 2);
    let left = time::Instant::now();
    shop.stop_order().await;
    assert_eq!(reason(watch.word().await), Reason::Unavailable);
    assert!(left.elapsed() < Duration::from_secs(5), "the stream held the server up for {:?}", left.elapsed());

    shop.restart_order().await;
    let mut watch = shop.watch(&ada, &order.id, 2).await.unwrap();
    shop.pay(&order.id, "bank-1", usd(499)).await.unwrap();
    assert_eq!(watch.entry().await, (3, OrderStatus::Paid));
}

#[tokio::test]
async fn there_are_so_many_places_and_one_that_is_left_is_free() {
    const PLACES: usize = 1_024;
    let shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 1)]).await;
    // A connection takes a few hundred streams.
    let clients: Vec<_> =
        (0..8).map(|_| OrderServiceClient::new(pool(shop_order::NAME, &shop.order_addresses()))).collect();
    let open = async |n: usize| {
        let request = proto::WatchOrderRequest { order_id: order.id.clone(), after_version: 2 };
        answer(clients[n % clients.len()].clone().watch_order(ada.says(request)).await)
    };
    let mut streams = Vec::with_capacity(PLACES);
    for batch in 0..PLACES / 64 {
        streams.extend(future::join_all((0..64).map(|n| open(batch * 64 + n))).await.into_iter().map(Result::unwrap));
    }
    let refusal = open(0).await.map(drop).unwrap_err();
    assert_eq!(refusal.reason, Reason::Overloaded);
    assert!(refusal.retry_after.is_some(), "{refusal:?}");
    assert_eq!(shop.get(&ada, &order.id).await.unwrap().version, 2, "everything else goes on");

    streams.truncate(PLACES / 2);
    let late = crate::harness::until("a place", async || open(0).await.ok()).await;
    streams.push(late);
    shop.cancel(&ada, &order.id).await.unwrap();
    let ends = streams.into_iter().map(async |stream| {
        let mut watch = Watch(stream);
        assert_eq!(watch.entry().await, (3, OrderStatus::Cancelled));
        watch.finishes().await;
    });
    future::join_all(ends).await;
}
