//! What every handler needs: clients of the services, and the keys to judge and to sign with.

use std::sync::Arc;

use shop_auth::{KeyBundle, ServiceSigner, Verifier};
use shop_discovery::Pool;
use shop_proto::{
    order::order_service_client::OrderServiceClient, product::product_service_client::ProductServiceClient,
    user::user_service_client::UserServiceClient,
};
use tonic::metadata::{Ascii, MetadataValue};

use crate::problem::Problem;

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
    orders: OrderServiceClient<Pool>,
    verifier: Verifier,
    signer: ServiceSigner,
    keys: KeyBundle,
}

/// The pools of the three services.
#[derive(Debug, Clone)]
pub(crate) struct Upstreams {
    pub(crate) user: Pool,
    pub(crate) product: Pool,
    pub(crate) order: Pool,
}

impl Gateway {
    pub(crate) fn new(upstreams: Upstreams, verifier: Verifier, signer: ServiceSigner, keys: KeyBundle) -> Self {
        let Upstreams { user, product, order } = upstreams;
        let users = UserServiceClient::new(user).max_decoding_message_size(MAX_REPLY_BYTES);
        let products = ProductServiceClient::new(product).max_decoding_message_size(MAX_REPLY_BYTES);
        let orders = OrderServiceClient::new(order).max_decoding_message_size(MAX_REPLY_BYTES);
        Self { inner: Arc::new(Inner { users, products, orders, verifier, signer, keys }) }
    }

    /// The user service.
    pub(crate) fn users(&self) -> UserServiceClient<Pool> {
        self.inner.users.clone()
    }

    /// The product service.
    pub(crate) fn products(&self) -> ProductServiceClient<Pool> {
        self.inner.products.clone()
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
