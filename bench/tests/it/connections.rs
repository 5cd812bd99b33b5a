//! Connections: bounded, shared among gateways, HTTP/1.1 and HTTP/2.

use std::time::Duration;

use http::HeaderValue;
use shop_bench::load::{Load, Mix, Operation, Plan};

use crate::{fake_shop::FakeShop, plan};

const SECOND: Duration = Duration::from_secs(1);

/// A server that takes a moment, so that requests overlap.
async fn slow() -> FakeShop {
    FakeShop::that(Box::new(|call| {
        Box::pin(async move {
            if call.is_product() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            None
        })
    }))
    .await
}

#[tokio::test]
async fn connections_are_no_more_than_allowed() {
    let shop = slow().await;
    let mix = Mix::of([(Operation::Product, 1)]);
    let report = Load::run(Plan { mix, connections: 5, ..plan(&shop, 80.0, SECOND) }).await.unwrap();
    assert_eq!(report.expected, 80, "{report}");
    assert!(shop.connections() <= 5, "{} connections", shop.connections());
    assert!((3..=5).contains(&shop.most_in_flight()), "{} at once", shop.most_in_flight());
}

#[tokio::test]
async fn http2_carries_many_requests_on_one_connection() {
    let shop = slow().await;
    let mix = Mix::of([(Operation::Product, 1)]);
    let report = Load::run(Plan { mix, http2: true, connections: 1, ..plan(&shop, 200.0, SECOND) }).await.unwrap();
    assert_eq!(report.expected, 200, "{report}");
    assert_eq!(shop.connections(), 1);
    assert!(shop.most_in_flight() > 5, "{} at once", shop.most_in_flight());
}

#[tokio::test]
async fn gateways_take_turns() {
    let (one, other) = (FakeShop::start().await, FakeShop::start().await);
    let base = plan(&one, 100.0, SECOND);
    let mix = Mix::of([(Operation::Product, 1)]);
    let report = Load::run(Plan { mix, gateways: vec![one.url(), other.url()], ..base }).await.unwrap();
    assert_eq!((report.expected, report.rerouted), (100, 0), "{report}");
    assert_eq!((one.product_calls(), other.product_calls()), (50, 50));
}

#[tokio::test]
async fn what_a_gateway_never_took_goes_to_another() {
    for http2 in [false, true] {
        let shop = FakeShop::start().await;
        // Nobody listens there any more.
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let base = plan(&shop, 100.0, SECOND);
        let mix = Mix::of([(Operation::Product, 1)]);
        let gateways = vec![format!("http://{gone}"), shop.url()];
        let report = Load::run(Plan { mix, http2, gateways, ..base }).await.unwrap();
        assert_eq!((report.expected, report.rerouted), (100, 50), "{report}");
        let alone = Plan { gateways: vec![shop.url()], ..plan(&shop, 1.0, SECOND) };
        assert_eq!(Load::run(alone).await.unwrap().rerouted, 0);
    }
}

#[tokio::test]
async fn no_gateway_at_all_is_a_failure_of_each_request() {
    let shop = FakeShop::start().await;
    let proxy = Proxy::before(&shop).await;
    let mix = Mix::of([(Operation::Product, 1)]);
    let plan = Plan { mix, gateways: vec![proxy.url.clone()], ..plan(&shop, 100.0, SECOND) };
    let load = Load::start(plan).await.unwrap();
    let bound = tokio::time::Instant::now() + Duration::from_secs(10);
    while load.so_far().expected < 10 {
        assert!(tokio::time::Instant::now() < bound, "{:?}", load.so_far());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    proxy.end();
    let report = load.join().await.unwrap();
    let refused = report.answers.iter().find(|row| row.code == "CONNECTION_REFUSED").map_or(0, |row| row.count);
    assert!(refused > 30, "{report}");
    assert_eq!(report.intended, report.expected + report.failed, "{report}");
}

/// Passes bytes on until it is ended, when it closes everything.
struct Proxy {
    url: String,
    tasks: tokio::task::JoinHandle<()>,
}

impl Proxy {
    async fn before(shop: &FakeShop) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let to = shop.url().replace("http://", "");
        let tasks = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut from, _)) = listener.accept().await {
                let to = to.clone();
                connections.spawn(async move {
                    let mut to = tokio::net::TcpStream::connect(to).await.unwrap();
                    // However it ends, it has ended.
                    let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                });
            }
        });
        Self { url, tasks }
    }

    fn end(&self) {
        self.tasks.abort();
    }
}

#[tokio::test]
async fn addresses_are_told_when_asked_for() {
    let shop = FakeShop::start().await;
    let mix = Mix::of([(Operation::Product, 1)]);
    Load::run(Plan { mix, addresses: 3, ..plan(&shop, 60.0, SECOND) }).await.unwrap();
    let calls = shop.calls();
    let told = calls.iter().filter(|call| call.is_product()).map(|call| call.headers["x-forwarded-for"].clone());
    let mut told: Vec<HeaderValue> = told.collect();
    assert_eq!(told.len(), 60);
    told.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    told.dedup();
    assert_eq!(told, ["10.77.0.0", "10.77.0.1", "10.77.0.2"]);
}
