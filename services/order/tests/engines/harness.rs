//! A shop of three servers, and callers of every kind.

use std::{net::SocketAddr, time::Duration};

use sea_orm::DbBackend;
use secrecy::SecretString;
use shop_auth::{Role, UserCaller, UserTokenSigner, keys};
use shop_discovery::{DiscoveryOptions, Pool, PoolOptions, StaticResolver, Target};
use shop_order::{Options, audit};
use shop_proto::{
    order::{self as proto, order_service_client::OrderServiceClient},
    product::{
        AdjustInventoryRequest, CreateProductRequest, GetInventoryRequest, product_service_client::ProductServiceClient,
    },
    status::{Reason, Refusal},
    types,
    user::{RegisterRequest, user_service_client::UserServiceClient},
};
use shop_server::{Running, ServerOptions, Shutdown};
use shop_storage::DatabaseOptions;
use shop_testing::TestDatabase;
use shop_types::{Uuid, new_id};
use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataValue},
};

/// Every wait of a test ends after this.
pub(crate) const BOUND: Duration = Duration::from_secs(30);
/// The secret that payment notices are signed with.
pub(crate) const WEBHOOK_SECRET: &str = "a secret for payment notices";
/// The secret that events are signed with.
pub(crate) const EVENT_SECRET: &str = "a secret for events";

const SECRET: &str = "a secret of thirty-two bytes or more";

/// A signed-in user.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: Uuid,
    token: MetadataValue<Ascii>,
}

/// A server that can be stopped alone.
struct Service {
    running: Running,
    shutdown: Shutdown,
}

impl Service {
    fn address(&self) -> SocketAddr {
        self.running.addresses().serve
    }

    /// Leaves as a process does.
    async fn stop(self) {
        self.shutdown.begin();
        tokio::time::timeout(BOUND, self.running.join()).await.unwrap().unwrap();
    }
}

/// What a test wants otherwise than usual.
#[derive(Clone)]
pub(crate) struct Wishes {
    pub(crate) payment_timeout: Duration,
    pub(crate) lease: Duration,
    pub(crate) event_sink: Option<String>,
    /// Order services on the one database. A SQLite file takes one.
    pub(crate) replicas: usize,
}

impl Wishes {
    /// As many order services as a database server takes.
    pub(crate) fn replicated() -> Self {
        Self { replicas: 3, ..Self::default() }
    }
}

impl Default for Wishes {
    fn default() -> Self {
        Self { payment_timeout: Duration::from_mins(15), lease: Duration::from_secs(10), event_sink: None, replicas: 1 }
    }
}

pub(crate) struct Shop {
    pub(crate) orders: OrderServiceClient<Pool>,
    products: ProductServiceClient<Pool>,
    users: UserServiceClient<Pool>,
    pub(crate) staff: Person,
    keys: keys::KeyPaths,
    wishes: Wishes,
    user: Service,
    product: Option<Service>,
    product_address: SocketAddr,
    order: Vec<Service>,
    databases: Databases,
    _keys: tempfile::TempDir,
}

/// Each service's own.
struct Databases {
    user: TestDatabase,
    product: TestDatabase,
    order: TestDatabase,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_with(Wishes::default()).await
    }

    pub(crate) async fn open_with(wishes: Wishes) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = keys::create(dir.path(), &["user", "product", "order", "gateway"]).unwrap();
        let databases = Databases {
            user: TestDatabase::new(shop_user::NAME).await,
            product: TestDatabase::new(shop_product::NAME).await,
            order: TestDatabase::new(shop_order::NAME).await,
        };
        let user = start_user(databases.user.options(), &keys).await;
        shop_product::migrate_up(&databases.product.options()).await.unwrap();
        let product = start_product(databases.product.options(), &keys, user.address(), any_port()).await;
        let product_address = product.address();
        let order_options = order_options(databases.order.options(), &keys, &wishes, user.address(), product_address);
        shop_order::migrate_up(&order_options.database).await.unwrap();
        let replicas = if databases.order.backend() == DbBackend::Sqlite { 1 } else { wishes.replicas };
        let mut order = Vec::with_capacity(replicas);
        for _ in 0..replicas {
            order.push(start_order(order_options.clone()).await.unwrap());
        }
        Self {
            orders: OrderServiceClient::new(pool(shop_order::NAME, &addresses(&order))),
            products: ProductServiceClient::new(pool(shop_product::NAME, &[product_address])),
            users: UserServiceClient::new(pool(shop_user::NAME, &[user.address()])),
            staff: person(&keys, Role::Staff, new_id()),
            keys,
            wishes,
            user,
            product: Some(product),
            product_address,
            order,
            databases,
            _keys: dir,
        }
    }

    /// A customer with an account.
    pub(crate) async fn customer(&self) -> Person {
        let request = RegisterRequest {
            email: format!("{}@example.com", new_id().simple()),
            password: "a password of these tests alone".to_owned(),
            display_name: "Ada".to_owned(),
        };
        let registered = self.users.clone().register(request).await.unwrap().into_inner();
        person(&self.keys, Role::Customer, registered.user.unwrap().id.parse().unwrap())
    }

    /// A customer whose account is gone, with a token that is still good.
    pub(crate) fn stranger(&self) -> Person {
        person(&self.keys, Role::Customer, new_id())
    }

    pub(crate) fn users(&self) -> UserServiceClient<Pool> {
        self.users.clone()
    }

    /// Makes a product that costs `price` and has `stock` pieces; its id.
    pub(crate) async fn product(&self, price: i64, stock: i64) -> String {
        let slug = format!("p-{}", new_id().simple());
        let request = CreateProductRequest {
            sku: slug.to_uppercase(),
            slug: slug.clone(),
            name: slug,
            price: Some(usd(price)),
            ..CreateProductRequest::default()
        };
        let created = self.products.clone().create_product(self.staff.says(request)).await.unwrap().into_inner();
        let product_id = created.product.unwrap().id;
        if stock > 0 {
            let request = AdjustInventoryRequest {
                product_id: product_id.clone(),
                delta: stock,
                reason: "Delivery".to_owned(),
                idempotency_key: new_id().to_string(),
            };
            self.products.clone().adjust_inventory(self.staff.says(request)).await.unwrap();
        }
        product_id
    }

    pub(crate) fn products(&self) -> ProductServiceClient<Pool> {
        self.products.clone()
    }

    /// On hand, reserved, available.
    pub(crate) async fn stock(&self, product_id: &str) -> (i64, i64, i64) {
        let request = GetInventoryRequest { product_id: product_id.to_owned() };
        let found = self.products.clone().get_inventory(self.staff.says(request)).await.unwrap();
        let inventory = found.into_inner().inventory.unwrap();
        (inventory.on_hand, inventory.reserved, inventory.available)
    }

    /// Waits until a product's stock is this.
    pub(crate) async fn stock_becomes(&self, product_id: &str, expected: (i64, i64, i64)) {
        until("the stock", async || (self.stock(product_id).await == expected).then_some(())).await;
    }

    pub(crate) async fn stop_product(&mut self) {
        self.product.take().unwrap().stop().await;
    }

    /// Starts product again, where it was.
    pub(crate) async fn restart_product(&mut self) {
        let options = self.databases.product.options();
        self.product = Some(start_product(options, &self.keys, self.user.address(), self.product_address).await);
    }

    pub(crate) fn product_address(&self) -> SocketAddr {
        self.product_address
    }

    pub(crate) fn order_addresses(&self) -> Vec<SocketAddr> {
        addresses(&self.order)
    }

    pub(crate) async fn stop_order(&mut self) {
        for order in self.order.drain(..) {
            order.stop().await;
        }
    }

    /// Starts order again; a process that was cut off may hold the file for a moment.
    pub(crate) async fn restart_order(&mut self) {
        let order =
            until("the database", async || start_order(self.order_options(self.product_address)).await.ok()).await;
        self.order.push(order);
        self.orders = OrderServiceClient::new(pool(shop_order::NAME, &addresses(&self.order)));
    }

    /// What order is started with, and a product service of the test's choice.
    pub(crate) fn order_options(&self, product: SocketAddr) -> Options {
        order_options(self.databases.order.options(), &self.keys, &self.wishes, self.user.address(), product)
    }

    /// The time that orders had to be paid in is over for all of them, at once.
    pub(crate) async fn let_time_pass(&self) {
        self.databases.order.execute("UPDATE orders SET expires_at = 1 WHERE expires_at IS NOT NULL").await;
    }

    pub(crate) fn order_database(&self) -> &TestDatabase {
        &self.databases.order
    }

    /// What the audit says of the orders.
    pub(crate) async fn audit(&self) -> audit::Findings {
        let options = self.databases.order.options();
        let connection = shop_storage::open_reader(shop_order::NAME, &options).await.unwrap();
        let settings = audit::Settings { lease: self.wishes.lease, relayed: self.wishes.event_sink.is_some() };
        let findings = audit::check(&connection, settings).await.unwrap();
        connection.close().await.unwrap();
        findings
    }

    /// Waits until nothing is in flight, and looks whether everything adds up, in both databases and between them.
    pub(crate) async fn assert_clean(&self) {
        until("the sagas to rest", async || {
            let findings = self.audit().await;
            assert!(findings.is_clean(), "{findings:?}");
            findings.sagas.is_empty().then_some(())
        })
        .await;
        let options = self.databases.product.options();
        let products = shop_storage::open_reader(shop_product::NAME, &options).await.unwrap();
        let findings = shop_product::audit::check(&products).await.unwrap();
        assert!(findings.is_clean(), "{findings:?}");
        let reservations = shop_product::audit::reservations(&products, None, 500).await.unwrap();
        let options = self.databases.order.options();
        let orders = shop_storage::open_reader(shop_order::NAME, &options).await.unwrap();
        let orders = audit::orders(&orders, None, 500).await.unwrap();
        assert!(orders.len() < 500 && reservations.len() < 500, "the test makes more orders than are compared");
        for order in orders {
            let reservation = reservations.iter().find(|reservation| reservation.order_id == order.id);
            let state = reservation.map(|reservation| format!("{:?}", reservation.state));
            let fits = match (order.status.as_str(), state.as_deref()) {
                ("reserved", state) => state == Some("Held"),
                ("paid" | "shipped" | "delivered", state) => state == Some("Committed"),
                ("rejected", state) => matches!(state, None | Some("Refused" | "Released")),
                ("expired", state) => state == Some("Released"),
                ("cancelled", state) => matches!(state, None | Some("Released" | "Refused" | "Returned")),
                ("refunded", state) => matches!(state, Some("Committed" | "Returned")),
                _ => false,
            };
            assert!(fits, "{order:?} has a reservation that is {state:?}");
        }
    }
}

impl Person {
    /// A request of this person.
    pub(crate) fn says<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.token.clone());
        request
    }
}

fn person(keys: &keys::KeyPaths, role: Role, id: Uuid) -> Person {
    let signer = UserTokenSigner::new(&keys.options("user"), "local").unwrap();
    let caller = UserCaller { user_id: id, session_id: new_id(), role, epoch: 0 };
    let token = signer.sign(&caller, Duration::from_mins(5)).unwrap();
    Person { id, token: format!("Bearer {token}").parse().unwrap() }
}

pub(crate) fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub(crate) fn pool(service: &'static str, addresses: &[SocketAddr]) -> Pool {
    let target = Target { shop_uid: "local".to_owned(), service };
    Pool::new(target, StaticResolver::new(addresses.iter().copied()), PoolOptions::default())
}

fn addresses(services: &[Service]) -> Vec<SocketAddr> {
    services.iter().map(Service::address).collect()
}

async fn start_user(database: DatabaseOptions, keys: &keys::KeyPaths) -> Service {
    let options = shop_user::Options {
        server: ServerOptions::embedded(any_port()),
        database,
        auth: keys.options(shop_user::NAME),
        discovery: DiscoveryOptions::default(),
        cursor_secret: SecretString::from(SECRET),
        access_token_ttl: shop_user::DEFAULT_ACCESS_TOKEN_TTL,
    };
    shop_user::migrate_up(&options.database).await.unwrap();
    let shutdown = Shutdown::new();
    Service { running: shop_user::start(options, &shutdown).await.unwrap(), shutdown }
}

async fn start_product(
    database: DatabaseOptions,
    keys: &keys::KeyPaths,
    user: SocketAddr,
    listen: SocketAddr,
) -> Service {
    let options = shop_product::Options {
        server: ServerOptions::embedded(listen),
        database,
        auth: keys.options(shop_product::NAME),
        discovery: DiscoveryOptions::default(),
        user_address: vec![user.into()],
        cursor_secret: SecretString::from(SECRET),
        currency: "USD".parse().unwrap(),
        lapse_interval: shop_product::LAPSE_INTERVAL,
    };
    let shutdown = Shutdown::new();
    Service { running: shop_product::start(options, &shutdown).await.unwrap(), shutdown }
}

fn order_options(
    database: DatabaseOptions,
    keys: &keys::KeyPaths,
    wishes: &Wishes,
    user: SocketAddr,
    product: SocketAddr,
) -> Options {
    Options {
        server: ServerOptions::embedded(any_port()),
        database,
        auth: keys.options(shop_order::NAME),
        discovery: DiscoveryOptions::default(),
        user_address: vec![user.into()],
        product_address: vec![product.into()],
        cursor_secret: SecretString::from(SECRET),
        payment_timeout: wishes.payment_timeout,
        lease: wishes.lease,
        payment_webhook_secret: Some(SecretString::from(WEBHOOK_SECRET)),
        event_sink: wishes.event_sink.clone(),
        event_secret: Some(SecretString::from(EVENT_SECRET)),
    }
}

async fn start_order(options: Options) -> anyhow::Result<Service> {
    let shutdown = Shutdown::new();
    Ok(Service { running: shop_order::start(options, &shutdown).await?, shutdown })
}

/// Waits, with a bound, until there is something.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let watch = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(BOUND, watch).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

pub(crate) fn create_request(key: &str, items: &[(&str, i64)]) -> proto::CreateOrderRequest {
    let items = items
        .iter()
        .map(|&(product_id, quantity)| proto::OrderLine { product_id: product_id.to_owned(), quantity })
        .collect();
    let destination = Some(proto::create_order_request::Destination::ShippingAddress(berlin()));
    proto::CreateOrderRequest { idempotency_key: key.to_owned(), items, destination }
}

pub(crate) fn berlin() -> types::PostalAddress {
    types::PostalAddress {
        recipient: "Ada Lovelace".to_owned(),
        line1: "Unter den Linden 1".to_owned(),
        city: "Berlin".to_owned(),
        postal_code: "10117".to_owned(),
        country: "DE".to_owned(),
        ..types::PostalAddress::default()
    }
}

pub(crate) fn usd(amount: i64) -> types::Money {
    types::Money { amount, currency: "USD".to_owned() }
}

pub(crate) fn eur(amount: i64) -> types::Money {
    types::Money { amount, currency: "EUR".to_owned() }
}

pub(crate) fn answer<T>(result: Result<Response<T>, Status>) -> Result<T, Refusal> {
    result.map(Response::into_inner).map_err(|status| Refusal::from_status(&status))
}

pub(crate) fn reason<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Reason {
    result.unwrap_err().reason
}

/// Pointers of the fields that a request was refused for.
pub(crate) fn pointers(refusal: &Refusal) -> Vec<&str> {
    refusal.violations.iter().map(|violation| violation.pointer.as_str()).collect()
}
