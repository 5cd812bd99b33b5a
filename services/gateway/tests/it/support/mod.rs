//! A gateway in front of stand-ins, and a client of it.

mod client;
mod upstream;
pub(crate) mod wire;

use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use shop_auth::{AuthOptions, Role, UserCaller, UserTokenSigner, keys};
use shop_discovery::DiscoveryOptions;
use shop_gateway::{EdgeOptions, NAME, Options, UpstreamOptions};
use shop_server::{Running, ServerOptions, Shutdown, TelemetryOptions};
use shop_types::{Uuid, new_id};

pub(crate) use client::{Answer, Client};
pub(crate) use upstream::Upstream;

/// Longer than anything here takes, for what must happen at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for what must happen.
pub(crate) async fn until(what: &str, mut happened: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !happened().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what} did not happen in time"));
}

/// Tests ask more often than people do; those of the limits have limits of their own.
fn unlimited() -> EdgeOptions {
    let most = NonZeroU32::new(1_000_000).unwrap();
    EdgeOptions {
        rate_limit: most,
        rate_burst: most,
        sign_in_rate_limit: most,
        sign_in_rate_burst: most,
        max_in_flight_per_client: 10_000,
        max_connections_per_address: 10_000,
        ..EdgeOptions::default()
    }
}

/// A running gateway.
pub(crate) struct Gateway {
    pub upstream: Upstream,
    pub address: SocketAddr,
    pub running: Running,
    pub folder: tempfile::TempDir,
    shutdown: Shutdown,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

impl Gateway {
    /// With default bounds, ready.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With options of the test's own, ready.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        let gateway = Self::start_unready(change).await;
        tokio::time::timeout(PATIENCE, gateway.running.readiness().ready()).await.expect("the gateway becomes ready");
        gateway.hear_of_revocations().await;
        gateway
    }

    /// Without waiting for the services.
    pub(crate) async fn start_unready(change: impl FnOnce(&mut Options)) -> Self {
        // Without telemetry no request has a trace. Its log would only clutter the test's output.
        let telemetry = TelemetryOptions { log_level: "off".to_owned(), ..TelemetryOptions::default() };
        shop_server::install_telemetry(NAME, telemetry).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let paths = keys::create(folder.path(), &["user", "product", "order", NAME]).unwrap();
        let upstream = Upstream::start().await;
        let mut options = Options {
            server: ServerOptions::embedded(SocketAddr::from(([127, 0, 0, 1], 0))),
            auth: paths.options(NAME),
            discovery: DiscoveryOptions::default(),
            edge: unlimited(),
            upstreams: UpstreamOptions {
                user_address: vec![upstream.address.into()],
                product_address: vec![upstream.address.into()],
                order_address: vec![upstream.address.into()],
            },
        };
        change(&mut options);
        let shutdown = Shutdown::new();
        let running = shop_gateway::start(options, &shutdown).await.unwrap();
        let address = running.addresses().serve;
        Self { upstream, address, running, folder, shutdown }
    }

    /// Staff are refused until the gateway has heard of revocations once.
    async fn hear_of_revocations(&self) {
        let staff = self.staff();
        self.upstream.answers("GetInventory", &wire::inventory_reply());
        let heard = async { while staff.get(&format!("/products/{}/inventory", new_id())).await.status == 503 {} };
        tokio::time::timeout(PATIENCE, heard).await.expect("the gateway hears of revocations");
    }

    pub(crate) fn auth_options(&self, issuer: &str) -> AuthOptions {
        keys::KeyPaths::new(self.folder.path()).options(issuer)
    }

    /// Asks it to leave.
    pub(crate) fn leave(&self) {
        self.shutdown.begin();
    }

    /// Nobody in particular.
    pub(crate) fn anonymous(&self) -> Client {
        Client::new(self.address)
    }

    pub(crate) fn customer(&self) -> Client {
        self.user(new_id(), Role::Customer)
    }

    pub(crate) fn staff(&self) -> Client {
        self.user(new_id(), Role::Staff)
    }

    pub(crate) fn admin(&self) -> Client {
        self.user(new_id(), Role::Admin)
    }

    pub(crate) fn user(&self, user_id: Uuid, role: Role) -> Client {
        let signer = UserTokenSigner::new(&self.auth_options("user"), "local").unwrap();
        let caller = UserCaller { user_id, session_id: new_id(), role, epoch: 0 };
        self.anonymous().with_token(signer.sign(&caller, Duration::from_mins(5)).unwrap())
    }
}
