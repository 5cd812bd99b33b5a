//! What a process knows of the others and says of itself.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use shop_consul::Client;
use shop_server::{Readiness, Shutdown};
use shop_types::settings::Settings;
use thiserror::Error;
use tokio::sync::watch;

use crate::{
    found::Found,
    link::Link,
    names::Names,
    options::DiscoveryOptions,
    pool::{Pool, PoolOptions, WeakPool},
    registration::Registrar,
    resolver::{Address, Resolver, StaticResolver},
    settings::{self, CurrentSettings},
    target::Target,
};

/// Why discovery can't start.
#[derive(Debug, Error)]
pub enum DiscoveryError {
    /// A file that an option names can't be used.
    #[error(
        "Consul can't be spoken to (--consul-token-file, SHOP_CONSUL_TOKEN_FILE; --consul-ca-file, SHOP_CONSUL_CA_FILE)"
    )]
    Files(#[source] shop_consul::Error),
}

/// Finds the other services, registers this one, and follows the shop's settings. Clones share everything.
#[derive(Clone)]
pub struct Discovery {
    inner: Arc<Inner>,
}

struct Inner {
    service: &'static str,
    shop_uid: String,
    options: DiscoveryOptions,
    shutdown: Shutdown,
    /// Consul, if there is one.
    link: Option<Arc<Link>>,
    settings: Arc<CurrentSettings>,
    registrar: OnceLock<Arc<Registrar>>,
    found: Mutex<Vec<Arc<Found>>>,
    pools: Mutex<Vec<WeakPool>>,
}

impl Discovery {
    /// Begins, without waiting for anything: what is not known yet is learnt while the process runs, until it has drained.
    ///
    /// Must be called on a tokio runtime.
    pub fn start(
        service: &'static str,
        options: &DiscoveryOptions,
        shop_uid: &str,
        shutdown: &Shutdown,
    ) -> Result<Self, DiscoveryError> {
        let settings = Arc::new(CurrentSettings::new());
        if let Some(file) = &options.settings_file {
            settings.read_file(file);
        }
        let link = match options.client() {
            Some(options) => {
                options.check_files().map_err(DiscoveryError::Files)?;
                Some(Link::new(Client::new(options)))
            }
            None => None,
        };
        let discovery = Self {
            inner: Arc::new(Inner {
                service,
                shop_uid: shop_uid.to_owned(),
                options: options.clone(),
                shutdown: shutdown.clone(),
                link,
                settings,
                registrar: OnceLock::new(),
                found: Mutex::default(),
                pools: Mutex::default(),
            }),
        };
        discovery.follow_settings();
        Ok(discovery)
    }

    fn follow_settings(&self) {
        let inner = &self.inner;
        let drained = inner.shutdown.drained();
        if let Some(link) = inner.link.clone() {
            let (settings, key) = (Arc::clone(&inner.settings), self.names().settings_key());
            let following = async move { settings.follow(&link, &key).await };
            tokio::spawn(drained.clone().run_until_cancelled_owned(following));
        }
        // Servers that share a process have no settings of their own, and must not undo what the process was told.
        if inner.link.is_some() || inner.options.settings_file.is_some() {
            tokio::spawn(drained.run_until_cancelled_owned(settings::apply_to_telemetry(self.settings())));
        }
    }

    fn names(&self) -> Names {
        Names::new(&self.inner.options, &self.inner.shop_uid)
    }

    /// The instances of a service: those in Consul, and the given addresses as long as Consul has told of none, or while
    /// all of them are out. Without Consul the given ones for ever.
    pub fn resolver(&self, service: &'static str, fallback: &[Address]) -> Arc<dyn Resolver + Send + Sync> {
        let Some(link) = &self.inner.link else { return Arc::new(StaticResolver::new(fallback.iter().cloned())) };
        let found = Found::follow(service, fallback, &self.names(), link, self.inner.shutdown.drained());
        let found = Arc::new(found);
        self.inner.found.lock().push(Arc::clone(&found));
        found
    }

    /// A channel to a service over its [`resolver`](Self::resolver). It shows up in [`debug_json`](Self::debug_json).
    pub fn pool(&self, service: &'static str, fallback: &[Address], options: PoolOptions) -> Pool {
        let target = Target { shop_uid: self.inner.shop_uid.clone(), service };
        let pool = Pool::new(target, self.resolver(service, fallback), options);
        self.inner.pools.lock().push(pool.downgrade());
        pool
    }

    /// Tells Consul where this process serves, whether it is ready, and when it leaves: not ready at once, gone once the last
    /// request is answered. Without Consul nothing. Only the first call counts.
    pub fn register(&self, serve: SocketAddr, readiness: &Readiness) {
        let inner = &self.inner;
        let Some(link) = &inner.link else { return };
        let registrar = Registrar::new(inner.service, serve, readiness, &inner.options, self.names(), Arc::clone(link));
        let registrar = Arc::new(registrar);
        if inner.registrar.set(Arc::clone(&registrar)).is_ok() {
            inner.shutdown.spawn("registration", registrar.keep(inner.shutdown.drained()));
        }
    }

    /// The settings in force, now and later. Where one is absent, the process's own option holds.
    pub fn settings(&self) -> watch::Receiver<Arc<Settings>> {
        self.inner.settings.watch()
    }

    /// What this process sees: the body of `GET /debug/upstreams`.
    pub fn debug_json(&self) -> Value {
        let inner = &self.inner;
        let pools: Vec<Value> = inner.pools.lock().iter().filter_map(WeakPool::report).collect();
        let found: serde_json::Map<String, Value> =
            inner.found.lock().iter().map(|found| (found.service().to_owned(), found.report())).collect();
        json!({
            "service": inner.service,
            "consul": inner.link.as_ref().map(|link| link.report()),
            "registration": inner.registrar.get().map(|registrar| registrar.report_json()),
            "found": found,
            "pools": pools,
            "settings": inner.settings.report(),
        })
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery").field("service", &self.inner.service).finish_non_exhaustive()
    }
}
