//! From options to a server that is ready.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use shop_auth::{AccessLayer, KeyBundle, Revocations, ServiceSigner, Verifier, revocation};
use shop_discovery::{Discovery, Pool, PoolOptions};
use shop_proto::user::user_service_client::UserServiceClient;
use shop_server::{Gate, GrpcServer, Running, Shutdown};
use shop_storage::{Database, DatabaseOptions, migrate, page::CursorKey, with_database};
use shop_types::Uuid;

use crate::{
    NAME, Options,
    app::{Orders, Parts, PaymentTimeout, Relay, Upstream},
    domain::WebhookSecrets,
    grpc, migration,
    options::sink_url,
    store::sagas::Holder,
};

/// Where the service listens unless told otherwise.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5002);
/// The longest a call of the saga may take.
const CALL_BOUND: Duration = Duration::from_secs(4);
/// The longest the sending of an event may take: a sink that takes longer is as good as away.
const SEND_BOUND: Duration = Duration::from_secs(5);
/// The part of a lease that a call may take. The rest is for the writes around it, so that a process that lives keeps
/// its steps.
const CALLS_PER_LEASE: u32 = 2;
/// How long a start waits for the feed of revocations. Without it staff is refused and everyone else is served, which
/// is more than not to be ready.
const FEED_BOUND: Duration = Duration::from_secs(5);
/// How often it is looked whether the feed was heard.
const FEED_CHECK: Duration = Duration::from_millis(10);

/// Binds, opens the database and serves. Returns once ready; the schema must be there.
pub async fn start(options: Options, shutdown: &Shutdown) -> anyhow::Result<Running> {
    let relay = relay(&options)?;
    let webhook_secrets = match &options.payment_webhook_secret {
        Some(secrets) => {
            WebhookSecrets::parse(secrets).context("--payment-webhook-secret (SHOP_PAYMENT_WEBHOOK_SECRET)")?
        }
        None => WebhookSecrets::default(),
    };
    let server = GrpcServer::bind(NAME, DEFAULT_LISTEN, &options.server).await?;
    let database = shutdown.unless_leaving(Box::pin(Database::open(NAME, &options.database))).await??;
    migrate::check(&database, migration::SCHEMA).await?;

    let shop_uid = &options.server.shop_uid;
    let signer = ServiceSigner::new(&options.auth, NAME, shop_uid).context("the signing keys can't be used")?;
    let bundle = KeyBundle::load(&options.auth.key_bundle).context("the bundle of public keys can't be used")?;
    let revocations = Revocations::followed();
    let verifier = Verifier::new(bundle, NAME, shop_uid, revocations.clone());

    let discovery = Discovery::start(NAME, &options.discovery, shop_uid, shutdown)?;
    server.show("upstreams", {
        let discovery = discovery.clone();
        move || discovery.debug_json()
    });
    let pool_options = PoolOptions { tls: server.tls(), ..PoolOptions::default() };
    let users = discovery.pool("user", &options.user_address, pool_options.clone());
    let products = discovery.pool("product", &options.product_address, pool_options);
    let feed = server.readiness().gate("revocations");
    follow_revocations(UserServiceClient::new(users.clone()), signer.clone(), revocations, feed, shutdown);

    let call_timeout = (options.lease / CALLS_PER_LEASE).min(CALL_BOUND);
    let orders = Orders::new(Parts {
        database: database.clone(),
        upstream: Upstream::new(users, products, signer, call_timeout),
        holder: Holder { owner: Uuid::new_v4(), lease: options.lease },
        payment_timeout: PaymentTimeout::new(options.payment_timeout, discovery.settings()),
        cursor_key: CursorKey::new(&options.cursor_secret),
        webhook_secrets,
        shutdown: shutdown.clone(),
    });
    orders.start_workers(relay);

    let running =
        server.start(grpc::routes(orders, options.server.max_message_bytes), AccessLayer::new(verifier), shutdown);
    discovery.register(running.addresses().serve, running.readiness());
    running.readiness().ready().await;
    Ok(running.then(database.leave()))
}

/// Applies the migrations the database lacks.
pub async fn migrate_up(options: &DatabaseOptions) -> anyhow::Result<()> {
    with_database(NAME, options, async |database| {
        migrate::up::<migration::Migrator>(database, migration::SCHEMA).await?;
        Ok(())
    })
    .await
}

fn relay(options: &Options) -> anyhow::Result<Option<Relay>> {
    const FLAG: &str = "--event-sink (SHOP_EVENT_SINK)";
    let Some(sink) = &options.event_sink else { return Ok(None) };
    let Some(secret) = &options.event_secret else {
        bail!("{FLAG} needs --event-secret (SHOP_EVENT_SECRET)");
    };
    let sink = sink_url(sink).map_err(|detail| anyhow!("{FLAG}: {detail}"))?;
    let timeout = (options.lease / CALLS_PER_LEASE).min(SEND_BOUND);
    let relay = Relay::new(sink, secret, &options.server.shop_uid, timeout)
        .context("the client of the event sink can't be made")?;
    Ok(Some(relay))
}

fn follow_revocations(
    client: UserServiceClient<Pool>,
    signer: ServiceSigner,
    revocations: Revocations,
    gate: Gate,
    shutdown: &Shutdown,
) {
    let stop = shutdown.token();
    shutdown.spawn("revocations", revocation::follow(client, signer, revocations.clone(), stop.clone()));
    shutdown.spawn("revocations gate", async move {
        let heard = async {
            while revocations.age().is_none() {
                tokio::time::sleep(FEED_CHECK).await;
            }
        };
        if stop.run_until_cancelled(tokio::time::timeout(FEED_BOUND, heard)).await.is_some_and(|heard| heard.is_err()) {
            tracing::warn!("serving without the feed of revocations: staff is refused until it is heard");
        }
        gate.open();
    });
}
