//! What every handler needs: clients of the services, and the keys to judge and to sign with.

use std::sync::Arc;

use shop_auth::{KeyBundle, ServiceSigner, Verifier};
use shop_discovery::Pool;
use shop_proto::{
    order::order_service_client::OrderServiceClient,
    product::{category_service_client::CategoryServiceClient, product_service_client::ProductServiceClient},
    user::user_service_client::UserServiceClient,
};
use tokio_util::sync::CancellationToken;
use tonic::metadata::{Ascii, MetadataValue};

use crate::{cache::Products, events::Streams, problem::Problem};

/// The largest reply that is read. A page of 100 products, each with all its attributes at full length, is some 8 MiB.
const MAX_REPLY_BYTES: usize = 16 * 1024 * 1024;

/// The state of the gateway. Clones share it.
#[derive(Clone)]
pub(crate) struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    users: UserServiceClient<Pool>,
    products: ProductServiceClient<Pool>,
    categories: CategoryServiceClient<Pool>,
    orders: OrderServiceClient<Pool>,
    watched_orders: OrderServiceClient<Pool>,
    verifier: Verifier,
    signer: ServiceSigner,
    keys: KeyBundle,
    kept_products: Products,
    streams: Arc<Streams>,
    draining: CancellationToken,
}

/// The pools of the three services.
#[derive(Debug, Clone)]
pub(crate) struct Upstreams {
    pub(crate) user: Pool,
    pub(crate) product: Pool,
    pub(crate) order: Pool,
    /// Of its own, since streams stay open: they would keep the places of calls.
    pub(crate) watched_order: Pool,
}

/// Whose tokens are taken, and what is signed with.
pub(crate) struct Keys {
    pub(crate) verifier: Verifier,
    pub(crate) signer: ServiceSigner,
    pub(crate) bundle: KeyBundle,
}

impl Gateway {
    pub(crate) fn new(upstreams: Upstreams, keys: Keys, streams: Streams, draining: CancellationToken) -> Self {
        let Upstreams { user, product, order, watched_order } = upstreams;
        let inner = Inner {
            users: UserServiceClient::new(user).max_decoding_message_size(MAX_REPLY_BYTES),
            products: ProductServiceClient::new(product.clone()).max_decoding_message_size(MAX_REPLY_BYTES),
            categories: CategoryServiceClient::new(product).max_decoding_message_size(MAX_REPLY_BYTES),
            orders: OrderServiceClient::new(order).max_decoding_message_size(MAX_REPLY_BYTES),
            watched_orders: OrderServiceClient::new(watched_order),
            verifier: keys.verifier,
            signer: keys.signer,
            keys: keys.bundle,
            kept_products: Products::new(),
            streams: Arc::new(streams),
            draining,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The user service.
    pub(crate) fn users(&self) -> UserServiceClient<Pool> {
        self.inner.users.clone()
    }

    /// The product service.
    pub(crate) fn products(&self) -> ProductServiceClient<Pool> {
        self.inner.products.clone()
    }

    /// The categories of the product service.
    pub(crate) fn categories(&self) -> CategoryServiceClient<Pool> {
        self.inner.categories.clone()
    }

    /// Products as they were a moment ago.
    pub(crate) fn kept_products(&self) -> &Products {
        &self.inner.kept_products
    }

    /// The order service, for streams.
    pub(crate) fn watched_orders(&self) -> OrderServiceClient<Pool> {
        self.inner.watched_orders.clone()
    }

    /// The event streams that are open.
    pub(crate) fn streams(&self) -> &Arc<Streams> {
        &self.inner.streams
    }

    /// Cancelled when the gateway leaves.
    pub(crate) fn draining(&self) -> CancellationToken {
        self.inner.draining.clone()
    }

    /// The order service.
    pub(crate) fn orders(&self) -> OrderServiceClient<Pool> {
        self.inner.orders.clone()
    }

    pub(crate) fn verifier(&self) -> &Verifier {
        &self.inner.verifier
    }

    /// The gateway's own credential for a service.
    pub(crate) fn own_bearer(&self, service: &'static str) -> Result<MetadataValue<Ascii>, Problem> {
        self.inner.signer.bearer(service).map_err(Problem::internal)
    }

    /// The public keys of users' tokens.
    pub(crate) fn jwks(&self) -> String {
        self.inner.keys.jwks_json(shop_auth::USER_ISSUER)
    }
}
