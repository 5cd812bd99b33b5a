//! The load generator on the real shop: what it counts is what the shop has.

use std::{
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use shop_bench::load::{Arrivals, KeyedRetry, Load, Mix, Operation, Plan, Shape};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use crate::{
    SETTLE_BOUND,
    client::Client,
    shop::{ADMIN_EMAIL, ADMIN_PASSWORD, Shop},
};

/// A load that debug builds bear on two busy cores, of everything that visitors do.
fn plan(shop: &Shop) -> Plan {
    let shape = Shape::constant(10.0, Duration::from_secs(12));
    let plan = Plan::new([shop.ready.gateway.clone()], shape).with_staff(ADMIN_EMAIL, ADMIN_PASSWORD);
    Plan { shoppers: 4, send_within: Duration::from_secs(20), timeout: Duration::from_secs(20), ..plan }
}

#[tokio::test]
async fn a_day_in_the_shop_fails_nowhere_and_is_counted_right() {
    let shop = Shop::start_with_demo().await;
    let mix = Mix::of([
        (Operation::List, 10),
        (Operation::Filter, 5),
        (Operation::Page, 10),
        (Operation::Product, 30),
        (Operation::Availability, 10),
        (Operation::SignIn, 2),
        (Operation::Order, 12),
        (Operation::Pay, 5),
        (Operation::Cancel, 3),
        (Operation::Orders, 5),
    ]);
    // Without a warm-up everything the shop gets is counted.
    let plan = Plan { mix, warm_up: Duration::ZERO, arrivals: Arrivals::Even, ..plan(&shop) };
    let report = Load::run(plan).await.unwrap();
    assert_eq!((report.intended, report.failed, report.dropped), (120, 0, 0), "{report}");
    for operation in Operation::ALL.into_iter().filter(|operation| *operation != Operation::Search) {
        assert!(report.operation(operation).is_some_and(|of| of.expected > 0), "no {operation}: {report}");
    }
    let of = |operation| usize::try_from(report.operation(operation).unwrap().expected).unwrap();
    let admin = Client::admin(&shop).await;
    assert_eq!(admin.orders("paid").await, of(Operation::Pay), "{report}");
    assert_eq!(admin.orders("cancelled").await, of(Operation::Cancel), "{report}");
    let left = of(Operation::Order) - of(Operation::Pay) - of(Operation::Cancel);
    assert_eq!(admin.orders("reserved").await, left, "{report}");
    shop.settled_clean(SETTLE_BOUND).await;
}

#[tokio::test]
async fn orders_sent_again_by_their_key_are_one_order_though_the_shop_is_killed() {
    let mut shop = Shop::start_with(&[("SHOP_NO_DEMO", "false"), ("SHOP_LEASE", "2s")]).await;
    let mix = Mix::of([(Operation::Order, 1)]);
    let mut door = Door::to(shop.gateway()).await;
    let plan = Plan {
        gateways: vec![door.url.clone()],
        mix,
        keyed_retry: KeyedRetry::Unsettled,
        shape: Shape::constant(5.0, Duration::from_hours(1)),
        ..plan(&shop)
    };
    let load = Load::start(plan).await.unwrap();
    more_orders(&load, 10).await;
    shop.kill().await;
    door.turned_away().await;
    shop.restart().await;
    more_orders(&load, 10).await;
    let report = load.finish().await.unwrap();
    assert_eq!((report.failed, report.dropped), (0, 0), "{report}");
    assert!(report.retried > 0, "{report}");
    shop.settled_clean(SETTLE_BOUND).await;
}

/// Waits until so many more were placed.
async fn more_orders(load: &Load, count: u64) {
    let before = load.so_far().expected;
    let begun = Instant::now();
    while load.so_far().expected < before + count {
        assert!(begun.elapsed() < SETTLE_BOUND, "{:?}", load.so_far());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One address for a shop that has another after each start.
struct Door {
    url: String,
    turned_away: watch::Receiver<u64>,
    passing: tokio::task::JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.passing.abort();
    }
}

impl Door {
    async fn to(gateway: Arc<RwLock<String>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (in_vain, turned_away) = watch::channel(0);
        let passing = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut visitor, _)) = listener.accept().await {
                let address = gateway.read().unwrap().trim_start_matches("http://").to_owned();
                let in_vain = in_vain.clone();
                connections.spawn(async move {
                    // While nobody is in, the visitor's connection just ends, and so it does when the shop's does.
                    match TcpStream::connect(address).await {
                        Ok(mut shop) => drop(copy_bidirectional(&mut visitor, &mut shop).await),
                        Err(_) => in_vain.send_modify(|count| *count += 1),
                    }
                });
            }
        });
        Self { url, turned_away, passing }
    }

    /// Waits until a visitor came and nobody was in: a shop that starts again fast enough is missed by nobody.
    async fn turned_away(&mut self) {
        let came = self.turned_away.wait_for(|count| *count > 0);
        tokio::time::timeout(SETTLE_BOUND, came).await.expect("a visitor while the shop is down").unwrap();
    }
}
