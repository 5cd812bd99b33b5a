//! `shop up`: prepares the data folder, starts the four servers, waits, and stops them in the order that lets requests in
//! flight find what they call.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
};

use anyhow::{Context as _, bail};
use futures::future;
use secrecy::SecretString;
use shop_discovery::{Address, DiscoveryOptions};
use shop_server::{Addresses, Running, ServerError, ServerOptions, Shutdown};
use shop_storage::Database;
use tokio::task::JoinHandle;

use crate::{
    announcement::Ready,
    cli::{Output, UpOptions},
    data_dir::DataDir,
    demo,
};

const USER_PORT: u16 = 5001;
const ORDER_PORT: u16 = 5002;
const PRODUCT_PORT: u16 = 5003;
/// The secret that a generated admin password is until somebody has seen it.
const UNSEEN_PASSWORD: &str = "first-admin-password";

/// Runs the shop until `shutdown` begins.
pub(crate) async fn up(options: UpOptions, shutdown: Shutdown) -> anyhow::Result<()> {
    let progress = Progress { shown: options.output == Output::Text };
    let data = DataDir::create(&options.data_dir.data_dir)?;
    progress.say("Migrating the databases")?;
    migrate(&data).await?;
    first_admin(&options, &data).await?;
    if !options.no_demo {
        progress.say("Filling the demo catalogue")?;
        seed(&options, &data).await?;
    }
    progress.say("Starting user, product, order and gateway")?;
    let mut services = tokio::select! {
        services = start(&options, &data) => services?,
        // Nothing was served yet, and what was written is durable.
        () = shutdown.leaving() => return Ok(()),
    };
    let password = data.kept_secret(UNSEEN_PASSWORD)?;
    services.ready(options.admin_email, password, &options.data_dir.data_dir).print(options.output)?;
    data.forget_secret(UNSEEN_PASSWORD)?;
    let ended = tokio::select! {
        () = shutdown.leaving() => None,
        ended = services.any_ended() => Some(ended),
    };
    progress.say("Closing: finishing what is in flight")?;
    let stopped = services.stop().await;
    match ended {
        Some(name) => bail!("{name} ended by itself; the log says why"),
        None => stopped,
    }
}

/// Tells a person what takes a moment. Programs get one line at the end instead.
struct Progress {
    shown: bool,
}

impl Progress {
    fn say(&self, what: &str) -> io::Result<()> {
        if self.shown { writeln!(io::stdout(), "{what} …") } else { Ok(()) }
    }
}

async fn migrate(data: &DataDir) -> anyhow::Result<()> {
    shop_user::migrate_up(&data.database(shop_user::NAME)).await.context("can't migrate user's database")?;
    shop_product::migrate_up(&data.database(shop_product::NAME)).await.context("can't migrate product's database")?;
    shop_order::migrate_up(&data.database(shop_order::NAME)).await.context("can't migrate order's database")
}

/// Makes the first admin, unless there is one already. A generated password is kept in the data folder until a start got
/// as far as to show it: it would be lost for ever if, say, a port were taken.
async fn first_admin(options: &UpOptions, data: &DataDir) -> anyhow::Result<()> {
    let database = data.database(shop_user::NAME);
    if shop_user::has_admin(&database).await? {
        return Ok(());
    }
    let password = match &options.admin_password {
        Some(given) => given.clone(),
        None => data.secret(UNSEEN_PASSWORD)?,
    };
    let made = shop_user::create_admin(&database, &options.admin_email, &password).await;
    made.context("can't make the first admin (--admin-email, --admin-password)")?;
    Ok(())
}

async fn seed(options: &UpOptions, data: &DataDir) -> anyhow::Result<()> {
    let database = Database::open(shop_product::NAME, &data.database(shop_product::NAME)).await?;
    let catalogue = demo::catalogue()?;
    let categories = catalogue.categories.clone();
    shop_product::seed(&database, options.currency, &categories, catalogue.products(options.products as usize)).await?;
    database.close().await?;
    Ok(())
}

/// A server with the way to stop it alone.
struct Service {
    name: &'static str,
    addresses: Addresses,
    shutdown: Shutdown,
    task: JoinHandle<Result<(), ServerError>>,
}

impl Service {
    fn new(name: &'static str, running: Running, shutdown: Shutdown) -> Self {
        Self { name, addresses: running.addresses(), shutdown, task: tokio::spawn(running.join()) }
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.begin();
        self.task.await.with_context(|| format!("{} did not leave in order", self.name))??;
        Ok(())
    }
}

/// The four, callers before those they call.
struct Services([Service; 4]);

async fn start(options: &UpOptions, data: &DataDir) -> anyhow::Result<Services> {
    let cursor_secret = data.secret("cursor")?;
    let beside = |port: u16| {
        let port = if options.listen.port() == 0 { 0 } else { port };
        ServerOptions::embedded(SocketAddr::new(options.listen.ip(), port))
    };

    let shutdown = Shutdown::new();
    let user = shop_user::Options {
        server: beside(USER_PORT),
        database: data.database(shop_user::NAME),
        auth: data.auth(shop_user::NAME),
        discovery: DiscoveryOptions::default(),
        cursor_secret: cursor_secret.clone(),
        access_token_ttl: options.access_token_ttl,
    };
    let running = shop_user::start(user, &shutdown).await.context("can't start user")?;
    let user = Service::new(shop_user::NAME, running, shutdown);
    let user_address = vec![address(&user)];

    let shutdown = Shutdown::new();
    let product = shop_product::Options {
        server: beside(PRODUCT_PORT),
        database: data.database(shop_product::NAME),
        auth: data.auth(shop_product::NAME),
        discovery: DiscoveryOptions::default(),
        user_address: user_address.clone(),
        cursor_secret: cursor_secret.clone(),
        currency: options.currency,
        lapse_interval: shop_product::LAPSE_INTERVAL,
    };
    let running = shop_product::start(product, &shutdown).await.context("can't start product")?;
    let product = Service::new(shop_product::NAME, running, shutdown);
    let product_address = vec![address(&product)];

    let shutdown = Shutdown::new();
    let order = shop_order::Options {
        server: beside(ORDER_PORT),
        database: data.database(shop_order::NAME),
        auth: data.auth(shop_order::NAME),
        discovery: DiscoveryOptions::default(),
        user_address: user_address.clone(),
        product_address: product_address.clone(),
        cursor_secret,
        payment_timeout: options.payment_timeout,
        lease: options.lease,
        payment_webhook_secret: Some(given_or_kept(options.payment_webhook_secret.as_ref(), data, "payment-webhook")?),
        event_sink: options.event_sink.clone(),
        event_secret: Some(given_or_kept(options.event_secret.as_ref(), data, "events")?),
    };
    let running = shop_order::start(order, &shutdown).await.context("can't start order")?;
    let order = Service::new(shop_order::NAME, running, shutdown);

    let shutdown = Shutdown::new();
    let gateway = shop_gateway::Options {
        server: ServerOptions::embedded(options.listen),
        auth: data.auth(shop_gateway::NAME),
        discovery: DiscoveryOptions::default(),
        edge: options.edge.clone(),
        upstreams: shop_gateway::UpstreamOptions {
            user_address,
            product_address,
            order_address: vec![address(&order)],
        },
    };
    let running = shop_gateway::start(gateway, &shutdown).await.context("can't start the gateway")?;
    running.readiness().ready().await;
    let gateway = Service::new(shop_gateway::NAME, running, shutdown);
    Ok(Services([gateway, order, product, user]))
}

impl Services {
    fn ready(&self, admin_email: String, admin_password: Option<SecretString>, data_dir: &Path) -> Ready {
        let Self([gateway, order, product, user]) = self;
        Ready {
            user: user.addresses,
            product: product.addresses,
            order: order.addresses,
            gateway: gateway.addresses,
            admin_email,
            admin_password,
            data_dir: data_dir.display().to_string(),
        }
    }

    /// Resolves with the name of a server that is no longer there, which none should ever be.
    async fn any_ended(&mut self) -> &'static str {
        let names = self.0.each_ref().map(|service| service.name);
        let (_, index, _) = future::select_all(self.0.iter_mut().map(|service| &mut service.task)).await;
        names[index]
    }

    /// Stops all of them, whatever becomes of one.
    async fn stop(self) -> anyhow::Result<()> {
        let mut stopped = Ok(());
        for service in self.0 {
            if !service.task.is_finished() {
                stopped = stopped.and(service.stop().await);
            }
        }
        stopped
    }
}

/// Where the others in this process reach a service: an unspecified address listens on loopback too.
fn address(service: &Service) -> Address {
    let serve = service.addresses.serve;
    let ip = match serve.ip() {
        ip if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    Address::from(SocketAddr::new(ip, serve.port()))
}

fn given_or_kept(given: Option<&SecretString>, data: &DataDir, name: &str) -> anyhow::Result<SecretString> {
    given.map_or_else(|| data.secret(name), |secret| Ok(secret.clone()))
}
