//! Several order services on one database: each does what is due, and none does what another did. A SQLite file takes one
//! process, and of that the same holds.

use std::{sync::atomic::Ordering, time::Duration};

use futures::future;
use sea_orm::DbBackend;
use shop_proto::order::{OrderStatus, order_service_client::OrderServiceClient};
use shop_server::Shutdown;
use tokio::time::Instant;

use crate::{
    harness::{Shop, Wishes, create_request, pool, until, usd},
    outage::{Doomed, OneWay, SHORT},
    relay::Sink,
};

const ORDERS: usize = 48;
const PRICE: i64 = 499;

#[tokio::test]
async fn what_a_killed_replica_left_another_takes_over_within_a_lease() {
    let lease = Duration::from_secs(2);
    let mut shop = Shop::open_with(Wishes { lease, ..Wishes::replicated() }).await;
    if shop.order_database().backend() == DbBackend::Sqlite {
        return;
    }
    let ada = shop.customer().await;
    let tea = shop.product(PRICE, 10).await;
    let shutdown = Shutdown::new();
    let (one_way, reached) = OneWay::start(&shop, &shutdown).await;
    let doomed = Doomed::start(shop.order_options(one_way)).await;
    let survivors = shop.orders.clone();
    shop.orders = OrderServiceClient::new(pool(shop_order::NAME, &[doomed.address]));

    // Product holds the stock, and the replica dies before it knows; the others run all the time.
    let (items, killed) = ([(tea.as_str(), 2)], async {
        until("product to be reached", async || (*reached.lock().unwrap() > 0).then_some(())).await;
        doomed.kill();
        Instant::now()
    });
    let (lost, killed) = tokio::join!(shop.create_within(&ada, create_request("key-1", &items), SHORT), killed);
    lost.unwrap_err();

    shop.orders = survivors;
    until("the order to be settled", async || shop.audit().await.sagas.is_empty().then_some(())).await;
    assert!(killed.elapsed() < lease + Duration::from_secs(3), "{:?}", killed.elapsed());
    assert_eq!(*reached.lock().unwrap(), 1, "the killed one goes on");
    let order = shop.create(&ada, "key-1", &items).await.unwrap();
    assert!(order.replayed);
    assert_eq!(order.order.unwrap().status(), OrderStatus::Reserved);
    assert_eq!(shop.stock(&tea).await, (10, 2, 8), "held once");
    shop.assert_clean().await;
}

/// Every worker of every replica has something to do at the same time, and product is away for a while, so that calls are
/// made again.
#[tokio::test]
async fn replicas_share_the_work_and_each_thing_is_done_once() {
    let (sink, url) = Sink::start().await;
    let wishes = Wishes { lease: Duration::from_secs(2), event_sink: Some(url), ..Wishes::replicated() };
    let mut shop = Shop::open_with(wishes).await;
    let ada = shop.customer().await;
    let stock = i64::try_from(ORDERS).unwrap();
    let tea = shop.product(PRICE, stock).await;
    let placed = future::join_all((0..ORDERS).map(async |n| {
        let created = shop.create(&ada, &format!("key-{n}"), &[(&tea, 1)]).await.unwrap();
        created.order.unwrap().id
    }))
    .await;
    let (pays, expires) = placed.split_at(ORDERS / 2);

    shop.stop_product().await;
    // Some come again, as from a provider that heard no answer.
    let payments = pays.iter().chain(pays).map(async |id| {
        let paid = shop.pay(id, &format!("pay-{id}"), usd(PRICE)).await.unwrap();
        assert_eq!(paid.order.unwrap().status(), OrderStatus::Paid);
    });
    future::join_all(payments).await;
    sink.to_refuse.store(ORDERS / 4, Ordering::SeqCst);
    shop.let_time_pass().await;
    let overdue = expires.iter().map(async |id| {
        shop.becomes(id, OrderStatus::Expired).await;
    });
    future::join_all(overdue).await;
    shop.restart_product().await;

    let sold = i64::try_from(pays.len()).unwrap();
    shop.stock_becomes(&tea, (stock - sold, 0, stock - sold)).await;
    shop.assert_clean().await;
    for (ids, last) in [(pays, "order.paid"), (expires, "order.expired")] {
        for id in ids {
            let versions: Vec<_> = shop.history(id).await.iter().map(|entry| entry.version).collect();
            assert_eq!(versions, [1, 2, 3], "{last} is written once");
            // Each version is told, in order; `of` leaves out what was told again.
            until("the events", async || (sink.of(id).len() == 3).then_some(())).await;
            let told = sink.of(id);
            assert!(told[2].ends_with(last) && told[1].ends_with("order.reserved"), "{told:?}");
        }
    }
}
