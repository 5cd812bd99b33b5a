//! A product server with its surroundings, and callers of every kind.

use std::time::Duration;

use secrecy::SecretString;
use shop_auth::{Role, ServiceSigner, UserCaller, UserTokenSigner, keys};
use shop_discovery::{DiscoveryOptions, Pool, PoolOptions, StaticResolver, Target};
use shop_product::Options;
use shop_proto::{
    product::{
        self as proto, category_service_client::CategoryServiceClient, product_service_client::ProductServiceClient,
        reservation_service_client::ReservationServiceClient,
    },
    status::{Reason, Refusal},
    types,
};
use shop_server::{Running, ServerOptions, Shutdown};
use shop_storage::DatabaseOptions;
use shop_testing::TestDatabase;
use shop_types::{Instant, Uuid, new_id};
use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataValue},
};

use crate::user::{self, Feed};

/// Every wait of a test ends after this.
pub(crate) const BOUND: Duration = Duration::from_secs(10);

/// A token as metadata; `None` is nobody's.
pub(crate) type Token = Option<MetadataValue<Ascii>>;

pub(crate) struct Shop {
    pub(crate) products: ProductServiceClient<Pool>,
    pub(crate) categories: CategoryServiceClient<Pool>,
    pub(crate) reservations: ReservationServiceClient<Pool>,
    pub(crate) database: DatabaseOptions,
    pub(crate) staff: Token,
    pub(crate) order: Token,
    pub(crate) feed: Feed,
    keys: keys::KeyPaths,
    shutdown: Shutdown,
    running: Vec<Running>,
    kept: Kept,
}

/// What a shop leaves behind: its keys and its database, gone with this value.
pub(crate) struct Kept {
    pub(crate) database: TestDatabase,
    _keys: tempfile::TempDir,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub(crate) async fn open_with(adjust: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = keys::create(dir.path(), &["user", "product", "order", "gateway"]).unwrap();
        let shutdown = Shutdown::new();
        let feed = Feed::default();
        let user = user::start(feed.clone(), &keys, &shutdown).await;
        let own = TestDatabase::new(shop_product::NAME).await;
        let mut options = options(own.options(), &keys, &user);
        adjust(&mut options);
        shop_product::migrate_up(&options.database).await.unwrap();
        let database = options.database.clone();
        let running = shop_product::start(options, &shutdown).await.unwrap();
        let target = Target { shop_uid: "local".to_owned(), service: shop_product::NAME };
        let pool = Pool::new(target, StaticResolver::new([running.addresses().serve]), PoolOptions::default());
        let mut shop = Self {
            products: ProductServiceClient::new(pool.clone()),
            categories: CategoryServiceClient::new(pool.clone()),
            reservations: ReservationServiceClient::new(pool),
            database,
            staff: None,
            order: None,
            feed,
            keys,
            shutdown,
            running: vec![user, running],
            kept: Kept { database: own, _keys: dir },
        };
        shop.staff = shop.user(Role::Staff);
        shop.order = shop.service("order");
        shop
    }

    /// A user of the role who has just signed in.
    pub(crate) fn user(&self, role: Role) -> Token {
        self.session(role, new_id())
    }

    /// The same in a session that is known.
    #[expect(clippy::unnecessary_wraps, reason = "it is one of the callers, and nobody is another")]
    pub(crate) fn session(&self, role: Role, session_id: Uuid) -> Token {
        let signer = UserTokenSigner::new(&self.keys.options("user"), "local").unwrap();
        let caller = UserCaller { user_id: new_id(), session_id, role, epoch: 0 };
        let token = signer.sign(&caller, Duration::from_mins(5)).unwrap();
        Some(format!("Bearer {token}").parse().unwrap())
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is one of the callers, and nobody is another")]
    pub(crate) fn service(&self, name: &'static str) -> Token {
        let signer = ServiceSigner::new(&self.keys.options(name), name, "local").unwrap();
        Some(signer.bearer(shop_product::NAME).unwrap())
    }

    /// Leaves as a process does.
    pub(crate) fn own(&self) -> &TestDatabase {
        &self.kept.database
    }

    pub(crate) async fn close(self) -> Kept {
        self.shutdown.begin();
        for running in self.running {
            tokio::time::timeout(BOUND, running.join()).await.unwrap().unwrap();
        }
        self.kept
    }

    /// Makes a product that costs `price` and has `stock` pieces.
    pub(crate) async fn product(&self, name: &str, price: i64, stock: i64) -> proto::Product {
        let slug = name.to_lowercase().replace(' ', "-");
        let request = proto::CreateProductRequest { name: name.to_owned(), ..new_product(&slug, price) };
        let created = self.products.clone().create_product(self.as_staff(request)).await.unwrap();
        let product = created.into_inner().product.unwrap();
        if stock > 0 {
            self.adjust(&product.id, stock, "Delivery", &new_id().to_string()).await.unwrap();
        }
        product
    }

    /// Makes a category; its name is its slug. An empty parent is none.
    pub(crate) async fn category(&self, slug: &str, parent_id: &str) -> Result<proto::Category, Refusal> {
        let request = proto::CreateCategoryRequest {
            slug: slug.to_owned(),
            name: slug.to_owned(),
            parent_id: parent_id.to_owned(),
        };
        let created = answer(self.categories.clone().create_category(self.as_staff(request)).await);
        created.map(|created| created.category.unwrap())
    }

    /// Makes a product of the request with its words and category.
    pub(crate) async fn create(&self, request: proto::CreateProductRequest) -> Result<proto::Product, Refusal> {
        let created = answer(self.products.clone().create_product(self.as_staff(request)).await);
        created.map(|created| created.product.unwrap())
    }

    /// Follows the cursors to the end and names the products in order.
    pub(crate) async fn list_all(&self, request: &proto::ListProductsRequest) -> Vec<String> {
        let mut slugs = Vec::new();
        let mut cursor = String::new();
        loop {
            let request = self.as_staff(proto::ListProductsRequest { cursor, ..request.clone() });
            let page = self.products.clone().list_products(request).await.unwrap().into_inner();
            slugs.extend(page.products.into_iter().map(|listed| listed.product.unwrap().slug));
            if page.next_cursor.is_empty() {
                return slugs;
            }
            cursor = page.next_cursor;
        }
    }

    pub(crate) async fn adjust(
        &self,
        product_id: &str,
        delta: i64,
        reason: &str,
        key: &str,
    ) -> Result<proto::AdjustInventoryResponse, Refusal> {
        let request = proto::AdjustInventoryRequest {
            product_id: product_id.to_owned(),
            delta,
            reason: reason.to_owned(),
            idempotency_key: key.to_owned(),
        };
        answer(self.products.clone().adjust_inventory(self.as_staff(request)).await)
    }

    /// On hand, reserved, available.
    pub(crate) async fn stock(&self, product_id: &str) -> (i64, i64, i64) {
        let request = proto::GetInventoryRequest { product_id: product_id.to_owned() };
        let found = self.products.clone().get_inventory(self.as_staff(request)).await.unwrap();
        let inventory = found.into_inner().inventory.unwrap();
        (inventory.on_hand, inventory.reserved, inventory.available)
    }

    pub(crate) async fn update(&self, request: proto::UpdateProductRequest) -> Result<proto::Product, Refusal> {
        let updated = answer(self.products.clone().update_product(self.as_staff(request)).await);
        updated.map(|updated| updated.product.unwrap())
    }

    pub(crate) async fn archive(&self, product: &proto::Product) -> Result<proto::Product, Refusal> {
        let request =
            proto::ArchiveProductRequest { product_id: product.id.clone(), expected_version: product.version };
        let archived = answer(self.products.clone().archive_product(self.as_staff(request)).await);
        archived.map(|archived| archived.product.unwrap())
    }

    pub(crate) async fn reserve(
        &self,
        order: Uuid,
        lines: &[(&str, i64)],
    ) -> Result<proto::reserve_response::Outcome, Refusal> {
        self.reserve_until(order, lines, Instant::now().plus(Duration::from_hours(1))).await
    }

    pub(crate) async fn reserve_until(
        &self,
        order: Uuid,
        lines: &[(&str, i64)],
        hold_until: Instant,
    ) -> Result<proto::reserve_response::Outcome, Refusal> {
        let lines = lines
            .iter()
            .map(|&(product_id, quantity)| proto::ReservationLine { product_id: product_id.to_owned(), quantity });
        let request = proto::ReserveRequest {
            order_id: order.to_string(),
            lines: lines.collect(),
            hold_until: Some(prost_types::Timestamp { seconds: hold_until.as_seconds(), nanos: 0 }),
        };
        let reserved = answer(self.reservations.clone().reserve(self.as_order(request)).await);
        reserved.map(|reserved| reserved.outcome.unwrap())
    }

    pub(crate) async fn commit(&self, order: Uuid) -> Result<(), Refusal> {
        let request = proto::CommitRequest { order_id: order.to_string() };
        answer(self.reservations.clone().commit(self.as_order(request)).await).map(|_| ())
    }

    pub(crate) async fn release(&self, order: Uuid) -> Result<(), Refusal> {
        let request = proto::ReleaseRequest { order_id: order.to_string() };
        answer(self.reservations.clone().release(self.as_order(request)).await).map(|_| ())
    }

    pub(crate) async fn give_back(&self, order: Uuid) -> Result<(), Refusal> {
        let request = proto::ReturnRequest { order_id: order.to_string() };
        answer(self.reservations.clone().r#return(self.as_order(request)).await).map(|_| ())
    }

    pub(crate) fn as_staff<T>(&self, message: T) -> Request<T> {
        as_caller(&self.staff, message)
    }

    pub(crate) fn as_order<T>(&self, message: T) -> Request<T> {
        as_caller(&self.order, message)
    }

    /// Whether everything in the database adds up.
    pub(crate) async fn assert_clean(&self) {
        let connection = shop_storage::open_reader(shop_product::NAME, &self.database).await.unwrap();
        let findings = shop_product::audit::check(&connection).await.unwrap();
        assert!(findings.is_clean(), "{findings:?}");
    }
}

pub(crate) fn options(database: DatabaseOptions, keys: &keys::KeyPaths, user: &Running) -> Options {
    Options {
        server: ServerOptions::embedded("127.0.0.1:0".parse().unwrap()),
        database,
        auth: keys.options(shop_product::NAME),
        discovery: DiscoveryOptions::default(),
        user_address: vec![user.addresses().serve.into()],
        cursor_secret: SecretString::from("a secret of thirty-two bytes or more"),
        currency: "USD".parse().unwrap(),
        lapse_interval: shop_product::LAPSE_INTERVAL,
    }
}

pub(crate) fn as_caller<T>(token: &Token, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", token.clone());
    }
    request
}

pub(crate) fn answer<T>(result: Result<Response<T>, Status>) -> Result<T, Refusal> {
    result.map(Response::into_inner).map_err(|status| Refusal::from_status(&status))
}

pub(crate) fn reason<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Reason {
    result.unwrap_err().reason
}

/// The pointers of the fields that a request was refused for.
pub(crate) fn pointers<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Vec<String> {
    let refusal = result.unwrap_err();
    assert_eq!(refusal.reason, Reason::ValidationFailed);
    refusal.violations.into_iter().map(|violation| violation.pointer).collect()
}

/// A valid product of which everything follows from the slug.
pub(crate) fn new_product(slug: &str, price: i64) -> proto::CreateProductRequest {
    proto::CreateProductRequest {
        sku: slug.to_uppercase(),
        slug: slug.to_owned(),
        name: slug.to_owned(),
        price: usd(price),
        ..proto::CreateProductRequest::default()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "messages have no field that must be set")]
pub(crate) fn usd(amount: i64) -> Option<types::Money> {
    Some(types::Money { amount, currency: "USD".to_owned() })
}
