//! From options to a server that is ready.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use shop_auth::{AccessLayer, KeyBundle, Revocations, ServiceSigner, Verifier, revocation};
use shop_discovery::{Discovery, PoolOptions};
use shop_proto::user::user_service_client::UserServiceClient;
use shop_server::{Gate, GrpcServer, Running, Shutdown, Tls};
use shop_storage::{Database, DatabaseOptions, SchemaRange, migrate, page::CursorKey, with_database};
use shop_types::Currency;

use crate::{NAME, Options, app, grpc, migration, store};

/// Where the service listens unless told otherwise.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5003);
/// How long a start waits for the feed of revocations. Without it staff is refused and everyone else is served, which
/// is more than not to be ready.
const FEED_BOUND: Duration = Duration::from_secs(5);
/// How often it is looked whether the feed was heard.
const FEED_CHECK: Duration = Duration::from_millis(10);

/// Binds, opens the database and serves. Returns once ready; the schema must be there.
pub async fn start(options: Options, shutdown: &Shutdown) -> anyhow::Result<Running> {
    start_on(options, migration::SCHEMA, shutdown).await
}

/// The same as a binary that works with other schemas.
pub(crate) async fn start_on(options: Options, schema: SchemaRange, shutdown: &Shutdown) -> anyhow::Result<Running> {
    let server = GrpcServer::bind(NAME, DEFAULT_LISTEN, &options.server).await?;
    let database = shutdown.unless_leaving(Box::pin(Database::open(NAME, &options.database))).await??;
    migrate::check(&database, schema).await?;
    check_currency(&database, options.currency).await?;

    let discovery = Discovery::start(NAME, &options.discovery, &options.server.shop_uid, shutdown)?;
    server.show("upstreams", {
        let discovery = discovery.clone();
        move || discovery.debug_json()
    });

    let revocations = Revocations::followed();
    let bundle = KeyBundle::load(&options.auth.key_bundle).context("the bundle of public keys can't be used")?;
    let verifier = Verifier::new(bundle, NAME, &options.server.shop_uid, revocations.clone());
    let feed = server.readiness().gate("revocations");
    follow_revocations(&options, server.tls(), &discovery, revocations, feed, shutdown)?;

    let lapse = app::release_lapsed(database.clone(), options.lapse_interval, shutdown.token());
    shutdown.spawn("lapsed reservations", lapse);

    let cursors = CursorKey::new(&options.cursor_secret);
    let routes = grpc::routes(&database, cursors, options.currency, options.server.max_message_bytes);
    let running = server.start(routes, AccessLayer::new(verifier), shutdown);
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

/// Amounts of two currencies can't be compared, and a changed one would misprice all there is.
async fn check_currency(database: &Database, currency: Currency) -> anyhow::Result<()> {
    if let Some(present) = store::products::currency(database.reader()).await? {
        ensure!(
            present == currency,
            "the catalogue is priced in {present}, and --currency (SHOP_CURRENCY) is {currency}"
        );
    }
    Ok(())
}

fn follow_revocations(
    options: &Options,
    tls: Option<Tls>,
    discovery: &Discovery,
    revocations: Revocations,
    gate: Gate,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let shop_uid = &options.server.shop_uid;
    let signer = ServiceSigner::new(&options.auth, NAME, shop_uid).context("the signing keys can't be used")?;
    let pool_options = PoolOptions { tls, ..PoolOptions::default() };
    let client = UserServiceClient::new(discovery.pool("user", &options.user_address, pool_options));
    let stop = shutdown.token();
    shutdown.spawn("revocations", revocation::follow(client, signer, revocations.clone(), stop.clone()));
    shutdown.spawn("revocations gate", async move {
        let heard = async {
            while revocations.age().is_none() {
                tokio::time::sleep(FEED_CHECK).await;
            }
        };
        if stop.run_until_cancelled(tokio::time::timeout(FEED_BOUND, heard)).await.is_some_and(|heard| heard.is_err()) {
            tracing::warn!("Serving without the feed of revocations: staff is refused until it is heard.");
        }
        gate.open();
    });
    Ok(())
}
