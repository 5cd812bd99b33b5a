//! Putting the gateway together and starting it.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use axum::Router;
use shop_auth::{KeyBundle, Revocations, ServiceSigner, Verifier, revocation};
use shop_discovery::{Address, Discovery, Pool, PoolOptions, Resolver as _};
use shop_proto::user::user_service_client::UserServiceClient;
use shop_server::{Gate, HttpServer, ObserveHttp, Running, Shutdown};
use tokio_util::sync::CancellationToken;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    NAME, Options,
    edge::{self, Edge, EdgeLayer, Policy},
    events::Streams,
    openapi,
    state::{Gateway, Keys, Upstreams},
};

/// Where the gateway serves unless told otherwise.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);

/// How long a service may take to say that it is well, and how often one that has not is asked again.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
const PROBE_INTERVAL: Duration = Duration::from_millis(250);

/// Binds and serves. Readiness follows once every service was reached; the services need not be there yet.
pub async fn start(options: Options, shutdown: &Shutdown) -> anyhow::Result<Running> {
    let Options { server, auth, discovery, edge, upstreams } = options;
    let bundle = KeyBundle::load(&auth.key_bundle).context("the key bundle can't be loaded")?;
    let signer = ServiceSigner::new(&auth, NAME, &server.shop_uid).context("the signing keys can't be loaded")?;
    let http = HttpServer::bind(NAME, DEFAULT_LISTEN, &server).await?;

    let discovery = Discovery::start(NAME, &discovery, &server.shop_uid, shutdown)?;
    http.show("upstreams", {
        let discovery = discovery.clone();
        move || discovery.debug_json()
    });
    let options = PoolOptions { tls: http.tls(), ..PoolOptions::default() };
    let pool = |service, addresses: &[Address]| discovery.pool(service, addresses, options.clone());
    let streams = PoolOptions { max_in_flight: edge.max_event_streams, ..options.clone() };
    let upstreams = Upstreams {
        user: pool("user", &upstreams.user_address),
        product: pool("product", &upstreams.product_address),
        order: pool("order", &upstreams.order_address),
        watched_order: discovery.pool("order", &upstreams.order_address, streams),
    };
    for (service, pool) in [("user", &upstreams.user), ("product", &upstreams.product), ("order", &upstreams.order)] {
        let opened = open_when_reached(http.readiness().gate(service), pool.clone());
        shutdown.spawn(service, run_until_draining(shutdown.token(), opened));
    }
    let revocations = Revocations::followed();
    let users = UserServiceClient::new(upstreams.user.clone());
    shutdown.spawn("revocation feed", revocation::follow(users, signer.clone(), revocations.clone(), shutdown.token()));
    let verifier = Verifier::new(bundle.clone(), NAME, &server.shop_uid, revocations);

    let gateways = discovery.resolver(NAME, &[]).watch();
    let policy = Policy::follow(edge.clone(), discovery.settings(), gateways, shutdown);
    let guard = Edge::new(&edge, policy, verifier.clone(), server.max_in_flight, server.request_timeout);
    let streams = Streams::new(edge.max_event_streams, edge.max_event_streams_per_user);
    let gateway = Gateway::new(upstreams, Keys { verifier, signer, bundle }, streams, shutdown.token());
    let running = http.start(router(gateway, guard), edge.connections(), shutdown);
    discovery.register(running.addresses().serve, running.readiness());
    Ok(running)
}

/// All routes behind all layers.
fn router(gateway: Gateway, guard: Edge) -> Router {
    let (routes, _) = openapi::routes().split_for_parts();
    routes
        .method_not_allowed_fallback(edge::other_method)
        .fallback(edge::not_found)
        .layer((ObserveHttp::new(NAME), EdgeLayer(Arc::new(guard))))
        .with_state(gateway)
}

/// Opens a gate of readiness once a service has answered, and leaves it open. A service that fails later is answered 503
/// by the routes that need it: were the gate to close, one failing service would take every gateway, and so the whole
/// shop, out of service.
async fn open_when_reached(gate: Gate, pool: Pool) {
    let mut health = HealthClient::new(pool);
    loop {
        let mut request = tonic::Request::new(HealthCheckRequest::default());
        request.set_timeout(PROBE_TIMEOUT);
        match health.check(request).await {
            Ok(reply) if reply.get_ref().status() == ServingStatus::Serving => return gate.open(),
            Ok(_) => gate.close("the service is not ready"),
            Err(status) => gate.close(format!("the service can't be reached: {:?}", status.code())),
        }
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
}

async fn run_until_draining(draining: CancellationToken, task: impl Future<Output = ()>) {
    // Cancelled or done: either way the task has ended.
    let _ = draining.run_until_cancelled_owned(task).await;
}
