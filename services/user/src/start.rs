//! From options to a server that is ready, and what is done to a database beside one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use shop_auth::{AccessLayer, KeyBundle, Role, UserTokenSigner, Verifier};
use shop_discovery::Discovery;
use shop_proto::user::user_service_server::UserServiceServer;
use shop_server::{GrpcServer, Running, Shutdown};
use shop_storage::{Database, DatabaseOptions, migrate, page::CursorKey, with_database};
use shop_types::Uuid;
use tonic::service::Routes;

use crate::{
    NAME, Options,
    app::{
        Accounts, Addresses, Administration, Feed, Hasher, Logins, NewAccount, Sessions, TokenIssuer, insert_account,
        keep_house,
    },
    grpc, migration,
    store::users,
};

/// Where the service listens unless told otherwise.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5001);
/// What an admin made by command is called, until they say otherwise.
const ADMIN_NAME: &str = "Admin";

/// Binds, opens the database and serves. Returns once ready; the schema must be there.
pub async fn start(options: Options, shutdown: &Shutdown) -> anyhow::Result<Running> {
    let server = GrpcServer::bind(NAME, DEFAULT_LISTEN, &options.server).await?;
    let database = shutdown.unless_leaving(Box::pin(Database::open(NAME, &options.database))).await??;
    migrate::check(&database, migration::SCHEMA).await?;

    let shop_uid = &options.server.shop_uid;
    let discovery = Discovery::start(NAME, &options.discovery, shop_uid, shutdown)?;
    server.show("upstreams", {
        let discovery = discovery.clone();
        move || discovery.debug_json()
    });
    let bundle = KeyBundle::load(&options.auth.key_bundle).context("the bundle of public keys can't be used")?;
    let signer = UserTokenSigner::new(&options.auth, shop_uid).context("the signing keys can't be used")?;
    let issuer = TokenIssuer { signer, ttl: options.access_token_ttl };

    let feed = Feed::new(database.clone());
    let position = feed.catch_up(0).await.context("can't read what was revoked")?;
    shutdown.spawn("revocations", feed.clone().keep_current(position, shutdown.token()));
    shutdown.spawn("housekeeping", keep_house(database.clone(), shutdown.token()));

    let verifier = Verifier::new(bundle, NAME, shop_uid, feed.local());
    let users = users_service(&database, feed, issuer, CursorKey::new(&options.cursor_secret), shutdown);
    let service = UserServiceServer::new(users).max_decoding_message_size(options.server.max_message_bytes);
    let routes = Routes::new(service);
    let running = server.start(routes, AccessLayer::new(verifier), shutdown);
    discovery.register(running.addresses().serve, running.readiness());
    running.readiness().ready().await;
    Ok(running.then(database.leave()))
}

fn users_service(
    database: &Database,
    feed: Feed,
    issuer: TokenIssuer,
    cursors: CursorKey,
    shutdown: &Shutdown,
) -> grpc::Users {
    let hasher = Hasher::new();
    grpc::Users {
        accounts: Accounts { database: database.clone(), hasher: hasher.clone(), feed: feed.clone() },
        administration: Administration { database: database.clone(), feed: feed.clone(), cursors: cursors.clone() },
        addresses: Addresses { database: database.clone(), cursors },
        logins: Logins {
            database: database.clone(),
            hasher,
            feed: feed.clone(),
            issuer: issuer.clone(),
            shutdown: shutdown.clone(),
        },
        sessions: Sessions { database: database.clone(), feed: feed.clone(), issuer },
        feed,
        stop: shutdown.token(),
    }
}

/// Applies the migrations the database lacks.
pub async fn migrate_up(options: &DatabaseOptions) -> anyhow::Result<()> {
    with_database(NAME, options, async |database| {
        migrate::up::<migration::Migrator>(database, migration::SCHEMA).await?;
        Ok(())
    })
    .await
}

/// Makes an admin in the database of a service that does not run; the id.
pub async fn create_admin(options: &DatabaseOptions, email: &str, password: &SecretString) -> anyhow::Result<Uuid> {
    let account = NewAccount::parse(email, password.expose_secret(), ADMIN_NAME)?;
    with_database(NAME, options, async |database| {
        migrate::check(database, migration::SCHEMA).await?;
        Ok(insert_account(database, &Hasher::new(), account, Role::Admin).await?.id)
    })
    .await
}

/// Whether the database of a service that does not run has an admin who can sign in.
pub async fn has_admin(options: &DatabaseOptions) -> anyhow::Result<bool> {
    with_database(NAME, options, async |database| {
        migrate::check(database, migration::SCHEMA).await?;
        Ok(users::count_active_admins(database.reader()).await? > 0)
    })
    .await
}
