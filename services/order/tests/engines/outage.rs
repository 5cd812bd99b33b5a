//! Dependencies that are away, and processes that die.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use shop_auth::{AccessLayer, KeyBundle, Revocations, Verifier};
use shop_discovery::Pool;
use shop_order::Options;
use shop_proto::{
    order::{OrderStatus, order_service_client::OrderServiceClient},
    product::{
        CommitRequest, CommitResponse, ReleaseRequest, ReleaseResponse, ReserveRequest, ReserveResponse, ReturnRequest,
        ReturnResponse,
        reservation_service_client::ReservationServiceClient,
        reservation_service_server::{ReservationService, ReservationServiceServer},
    },
    status::Reason,
};
use shop_server::{GrpcServer, ServerOptions, Shutdown};
use tokio::runtime::{Builder, Runtime};
use tonic::{Request, Response, Status, async_trait, service::Routes};

use crate::harness::{Shop, Wishes, any_port, create_request, pool, reason, until, usd};

pub(crate) const SHORT: Duration = Duration::from_millis(700);

#[tokio::test]
async fn an_order_placed_while_product_is_away_settles_when_it_is_back() {
    let mut shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    shop.stop_product().await;
    let request = create_request("key-1", &[(&tea, 2)]);
    let pending = shop.create_within(&ada, request.clone(), SHORT).await.unwrap_err();
    assert_eq!(pending.reason, Reason::OrderPending);
    assert!(pending.retry_after.is_some());
    let id = pending.metadata["order_id"].clone();
    assert_eq!(shop.get(&ada, &id).await.unwrap().status(), OrderStatus::Pending);

    let again = shop.create_within(&ada, request, SHORT).await.unwrap_err();
    assert_eq!((again.reason, &again.metadata["order_id"]), (Reason::OrderPending, &id));
    assert!(shop.audit().await.sagas.iter().all(|finding| finding.in_flight));

    shop.restart_product().await;
    let settled = shop.create(&ada, "key-1", &[(&tea, 2)]).await.unwrap();
    let order = settled.order.unwrap();
    assert_eq!((order.id, settled.replayed), (id, true));
    assert_eq!(shop.stock(&tea).await, (10, 2, 8));
    shop.assert_clean().await;
}

#[tokio::test]
async fn goods_are_not_sent_before_they_are_the_orders_own() {
    let mut shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let order = shop.reserved(&ada, &[(&tea, 2)]).await;
    shop.stop_product().await;
    let paid = shop.pay(&order.id, "bank-1", usd(998)).await.unwrap();
    assert_eq!(paid.order.unwrap().status(), OrderStatus::Paid, "a payment needs nobody else");

    let mut request = shop.staff.says(shop_proto::order::ShipOrderRequest { order_id: order.id.clone() });
    request.set_timeout(SHORT);
    let refused = crate::harness::answer(shop.orders.clone().ship_order(request).await);
    assert_eq!(reason(refused), Reason::OrderPending);

    shop.restart_product().await;
    assert_eq!(shop.ship(&order.id).await.unwrap().status(), OrderStatus::Shipped);
    shop.assert_clean().await;
}

#[tokio::test]
async fn steps_that_are_outstanding_at_a_stop_go_on_after_the_start() {
    let mut shop = Shop::open_with(Wishes { lease: Duration::from_secs(1), ..Wishes::default() }).await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    let (paid, cancelled) = (shop.reserved(&ada, &[(&tea, 2)]).await, shop.reserved(&ada, &[(&tea, 3)]).await);
    shop.stop_product().await;
    shop.pay(&paid.id, "bank-1", usd(998)).await.unwrap();
    shop.cancel(&ada, &cancelled.id).await.unwrap();
    shop.stop_order().await;

    shop.restart_product().await;
    shop.restart_order().await;
    shop.assert_clean().await;
    assert_eq!(shop.stock(&tea).await, (8, 0, 8));
}

/// Reaches the real product, whose answers it keeps for itself.
pub(crate) struct OneWay {
    product: ReservationServiceClient<Pool>,
    reached: Arc<Mutex<usize>>,
}

#[async_trait]
impl ReservationService for OneWay {
    async fn reserve(&self, request: Request<ReserveRequest>) -> Result<Response<ReserveResponse>, Status> {
        let (metadata, extensions, message) = request.into_parts();
        drop(extensions);
        self.product.clone().reserve(Request::from_parts(metadata, tonic::Extensions::default(), message)).await?;
        *self.reached.lock().unwrap() += 1;
        std::future::pending().await
    }

    async fn commit(&self, _: Request<CommitRequest>) -> Result<Response<CommitResponse>, Status> {
        std::future::pending().await
    }

    async fn release(&self, _: Request<ReleaseRequest>) -> Result<Response<ReleaseResponse>, Status> {
        std::future::pending().await
    }

    async fn r#return(&self, _: Request<ReturnRequest>) -> Result<Response<ReturnResponse>, Status> {
        std::future::pending().await
    }
}

impl OneWay {
    pub(crate) async fn start(shop: &Shop, shutdown: &Shutdown) -> (SocketAddr, Arc<Mutex<usize>>) {
        let server = GrpcServer::bind("product", any_port(), &ServerOptions::embedded(any_port())).await.unwrap();
        let bundle = KeyBundle::load(&shop.order_options(any_port()).auth.key_bundle).unwrap();
        let verifier = Verifier::new(bundle, "product", "local", Revocations::local());
        let reached = Arc::default();
        let product = ReservationServiceClient::new(pool("product", &[shop.product_address()]));
        let service = ReservationServiceServer::new(Self { product, reached: Arc::clone(&reached) });
        let running = server.start(Routes::new(service), AccessLayer::new(verifier), shutdown);
        (running.addresses().serve, reached)
    }
}

/// An order service in a runtime of its own, which can be cut off at any moment, as SIGKILL does.
pub(crate) struct Doomed {
    runtime: Runtime,
    pub(crate) address: SocketAddr,
}

impl Doomed {
    pub(crate) async fn start(options: Options) -> Self {
        let start = move || {
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let running = runtime.block_on(async { shop_order::start(options, &Shutdown::new()).await }).unwrap();
            Self { address: running.addresses().serve, runtime }
        };
        tokio::task::spawn_blocking(start).await.unwrap()
    }

    pub(crate) fn kill(self) {
        self.runtime.shutdown_background();
    }
}

#[tokio::test]
async fn what_a_dead_process_left_goes_on_after_its_lease() {
    let lease = Duration::from_secs(2);
    let mut shop = Shop::open_with(Wishes { lease, ..Wishes::default() }).await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 10).await;
    shop.stop_order().await;
    let shutdown = Shutdown::new();
    let (one_way, reached) = OneWay::start(&shop, &shutdown).await;
    let doomed = Doomed::start(shop.order_options(one_way)).await;
    shop.orders = OrderServiceClient::new(pool(shop_order::NAME, &[doomed.address]));

    // Product holds the stock, and the process dies before it knows.
    let (items, killed) = ([(tea.as_str(), 2)], async {
        until("product to be reached", async || (*reached.lock().unwrap() > 0).then_some(())).await;
        assert_eq!(shop.audit().await.sagas.iter().filter(|finding| finding.in_flight).count(), 1);
        doomed.kill();
        tokio::time::Instant::now()
    });
    let (lost, killed) = tokio::join!(shop.create_within(&ada, create_request("key-1", &items), SHORT), killed);
    assert!(matches!(reason(lost), Reason::Unavailable | Reason::DeadlineExceeded | Reason::OrderPending));
    assert_eq!(shop.stock(&tea).await, (10, 2, 8));

    shop.restart_order().await;
    until("the order to be settled", async || shop.audit().await.sagas.is_empty().then_some(())).await;
    assert!(killed.elapsed() < lease + Duration::from_secs(3), "{:?}", killed.elapsed());
    let order = shop.create(&ada, "key-1", &items).await.unwrap();
    assert!(order.replayed);
    assert_eq!(order.order.unwrap().status(), OrderStatus::Reserved);
    assert_eq!(shop.stock(&tea).await, (10, 2, 8), "held once");
    shop.assert_clean().await;
}

#[tokio::test]
async fn while_as_many_orders_are_placed_as_may_be_another_is_refused_and_uses_no_key() {
    const PLACES: usize = 64;
    let mut shop = Shop::open().await;
    let ada = shop.customer().await;
    let tea = shop.product(499, 1000).await;
    shop.stop_order().await;
    let (one_way, reached) = OneWay::start(&shop, &Shutdown::new()).await;
    let stuck = Doomed::start(shop.order_options(one_way)).await;
    shop.orders = OrderServiceClient::new(pool(shop_order::NAME, &[stuck.address]));

    let place = |key: String| {
        let (shop, ada, tea) = (&shop, &ada, tea.as_str());
        async move { shop.create_within(ada, create_request(&key, &[(tea, 1)]), SHORT * 4).await }
    };
    let all = futures::future::join_all((0..PLACES).map(|n| place(format!("key-{n}"))));
    let one_more = async {
        until("all places to be taken", async || (*reached.lock().unwrap() == PLACES).then_some(())).await;
        place("one-more".to_owned()).await.unwrap_err()
    };
    let (all, refused) = tokio::join!(all, one_more);
    assert!(all.into_iter().all(|placed| reason(placed) == Reason::OrderPending));
    assert_eq!((refused.reason, refused.retry_after.is_some()), (Reason::Overloaded, true), "{refused:?}");
    let orders = shop.audit().await.sagas;
    assert_eq!(orders.len(), PLACES, "what was refused left nothing");

    // A call that gets no answer is given up, and its place is another's.
    let admitted =
        async || (place("one-more".to_owned()).await.unwrap_err().reason == Reason::OrderPending).then_some(());
    until("a place to be free", admitted).await;
    stuck.kill();
}
