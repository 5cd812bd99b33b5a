//! `shop up`: prepares the data folder, starts the four servers, waits, and stops them in the order that lets requests in
//! flight find what they call.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
};

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use shop_discovery::Address;
use shop_server::{Running, ServerOptions, Shutdown};
use shop_storage::Database;

use crate::{
    announcement::Ready,
    cli::{Output, UpOptions},
    data_dir::{DataDir, random_hex},
    demo,
};

const USER_PORT: u16 = 5001;
const ORDER_PORT: u16 = 5002;
const PRODUCT_PORT: u16 = 5003;
/// 64 bits in hexadecimal: 16 characters, beyond guessing at the rate a login allows.
const PASSWORD_BYTES: usize = 8;

/// The admin that this start made.
pub(crate) struct FirstAdmin {
    password: SecretString,
    generated: bool,
}

impl FirstAdmin {
    /// The password, if nobody has it yet.
    pub(crate) fn generated_password(&self) -> Option<&str> {
        self.generated.then(|| self.password.expose_secret())
    }
}

/// Runs the shop until `shutdown` begins.
pub(crate) async fn up(options: UpOptions, shutdown: Shutdown) -> anyhow::Result<()> {
    let progress = Progress { shown: options.output == Output::Text };
    let data = DataDir::create(&options.data_dir.data_dir)?;
    progress.say("Migrating the databases")?;
    migrate(&data).await?;
    let first_admin = first_admin(&options, &data).await?;
    if !options.no_demo {
        progress.say("Filling the demo catalogue")?;
        seed(&options, &data).await?;
    }
    progress.say("Starting user, product, order and gateway")?;
    let services = start(&options, &data).await?;
    services.ready(options.admin_email, first_admin, &options.data_dir.data_dir).print(options.output)?;
    shutdown.leaving().await;
    progress.say("Closing: finishing what is in flight")?;
    services.stop().await
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

/// Makes the first admin, unless there is one already.
async fn first_admin(options: &UpOptions, data: &DataDir) -> anyhow::Result<Option<FirstAdmin>> {
    let database = data.database(shop_user::NAME);
    if shop_user::has_admin(&database).await? {
        return Ok(None);
    }
    let (password, generated) = match &options.admin_password {
        Some(given) => (given.clone(), false),
        None => (SecretString::from(random_hex(PASSWORD_BYTES)?), true),
    };
    shop_user::create_admin(&database, &options.admin_email, &password)
        .await
        .context("can't make the first admin (--admin-email, --admin-password)")?;
    Ok(Some(FirstAdmin { password, generated }))
}

async fn seed(options: &UpOptions, data: &DataDir) -> anyhow::Result<()> {
    let database = Database::open(shop_product::NAME, &data.database(shop_product::NAME)).await?;
    shop_product::seed(&database, options.currency, &demo::catalogue()?).await?;
    database.close().await?;
    Ok(())
}

/// A server with the way to stop it alone.
struct Service {
    running: Running,
    shutdown: Shutdown,
}

/// The four, in the order they call each other.
struct Services {
    gateway: Service,
    order: Service,
    product: Service,
    user: Service,
}

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
        cursor_secret: cursor_secret.clone(),
        access_token_ttl: options.access_token_ttl,
    };
    let user = Service { running: shop_user::start(user, &shutdown).await.context("can't start user")?, shutdown };
    let user_address = vec![address(&user)];

    let shutdown = Shutdown::new();
    let product = shop_product::Options {
        server: beside(PRODUCT_PORT),
        database: data.database(shop_product::NAME),
        auth: data.auth(shop_product::NAME),
        user_address: user_address.clone(),
        cursor_secret: cursor_secret.clone(),
        currency: options.currency,
        lapse_interval: shop_product::LAPSE_INTERVAL,
    };
    let running = shop_product::start(product, &shutdown).await.context("can't start product")?;
    let product = Service { running, shutdown };
    let product_address = vec![address(&product)];

    let shutdown = Shutdown::new();
    let order = shop_order::Options {
        server: beside(ORDER_PORT),
        database: data.database(shop_order::NAME),
        auth: data.auth(shop_order::NAME),
        user_address: user_address.clone(),
        product_address: product_address.clone(),
        cursor_secret,
        payment_timeout: options.payment_timeout,
        lease: options.lease,
        payment_webhook_secret: Some(given_or_kept(options.payment_webhook_secret.as_ref(), data, "payment-webhook")?),
        event_sink: options.event_sink.clone(),
        event_secret: Some(given_or_kept(options.event_secret.as_ref(), data, "events")?),
    };
    let order = Service { running: shop_order::start(order, &shutdown).await.context("can't start order")?, shutdown };

    let shutdown = Shutdown::new();
    let gateway = shop_gateway::Options {
        server: ServerOptions::embedded(options.listen),
        auth: data.auth(shop_gateway::NAME),
        upstreams: shop_gateway::UpstreamOptions {
            user_address,
            product_address,
            order_address: vec![address(&order)],
        },
    };
    let running = shop_gateway::start(gateway, &shutdown).await.context("can't start the gateway")?;
    running.readiness().ready().await;
    let gateway = Service { running, shutdown };
    Ok(Services { gateway, order, product, user })
}

impl Services {
    fn ready(&self, admin_email: String, first_admin: Option<FirstAdmin>, data_dir: &std::path::Path) -> Ready {
        Ready {
            user: self.user.running.addresses(),
            product: self.product.running.addresses(),
            order: self.order.running.addresses(),
            gateway: self.gateway.running.addresses(),
            admin_email,
            first_admin,
            data_dir: data_dir.display().to_string(),
        }
    }

    /// Callers leave before those they call.
    async fn stop(self) -> anyhow::Result<()> {
        for service in [self.gateway, self.order, self.product, self.user] {
            service.shutdown.begin();
            service.running.join().await?;
        }
        Ok(())
    }
}

/// Where the others in this process reach a service: an unspecified address listens on loopback too.
fn address(service: &Service) -> Address {
    let serve = service.running.addresses().serve;
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
