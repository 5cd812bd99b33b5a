//! What a process knows of the others and says of itself.

use std::{net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use serde_json::{Value, json};
use shop_server::{Readiness, Shutdown};
use shop_types::settings::Settings;
use thiserror::Error;
use tokio::sync::watch;

use crate::{
    options::DiscoveryOptions,
    pool::{Pool, PoolOptions, WeakPool},
    resolver::{Address, Resolver, StaticResolver},
    settings::CurrentSettings,
    target::Target,
};

/// Why discovery can't start.
#[derive(Debug, Error)]
pub enum DiscoveryError {
    /// There is no Consul client yet.
    #[error("--consul-address (SHOP_CONSUL_ADDRESS) is not supported yet")]
    Consul,
}

/// Finds the other services, registers this one, and follows the shop's settings. Clones share everything.
#[derive(Clone)]
pub struct Discovery {
    inner: Arc<Inner>,
}

struct Inner {
    shop_uid: String,
    settings: CurrentSettings,
    pools: Mutex<Vec<WeakPool>>,
}

impl Discovery {
    /// Begins, without waiting for anything: what is not known yet is learnt while the process runs, until it drains.
    ///
    /// Must be called on a tokio runtime.
    pub fn start(
        service: &'static str,
        options: &DiscoveryOptions,
        shop_uid: &str,
        shutdown: &Shutdown,
    ) -> Result<Self, DiscoveryError> {
        let settings = CurrentSettings::new();
        if let Some(file) = &options.settings_file {
            settings.read_file(file);
        }
        if options.consul_address.is_some() {
            return Err(DiscoveryError::Consul);
        }
        let _ = (service, shutdown);
        let inner = Inner { shop_uid: shop_uid.to_owned(), settings, pools: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The instances of a service: those in Consul, and the given addresses as long as Consul has told of none. Without
    /// Consul the given ones for ever.
    pub fn resolver(&self, service: &'static str, fallback: &[Address]) -> Arc<dyn Resolver + Send + Sync> {
        let _ = service;
        Arc::new(StaticResolver::new(fallback.iter().cloned()))
    }

    /// A channel to a service over its [`resolver`](Self::resolver). It shows up in [`debug_json`](Self::debug_json).
    pub fn pool(&self, service: &'static str, fallback: &[Address], options: PoolOptions) -> Pool {
        let target = Target { shop_uid: self.inner.shop_uid.clone(), service };
        let pool = Pool::new(target, self.resolver(service, fallback), options);
        self.inner.pools.lock().push(pool.downgrade());
        pool
    }

    /// Tells Consul where this process serves, whether it is ready, and when it leaves. Without Consul nothing.
    pub fn register(&self, serve: SocketAddr, readiness: &Readiness) {
        let _ = (serve, readiness);
    }

    /// The settings in force, now and later. Where one is absent, the process's own option holds.
    pub fn settings(&self) -> watch::Receiver<Arc<Settings>> {
        self.inner.settings.watch()
    }

    /// What this process sees: the body of `GET /debug/upstreams`.
    pub fn debug_json(&self) -> Value {
        let pools: Vec<Value> = self.inner.pools.lock().iter().filter_map(WeakPool::report).collect();
        json!({ "upstreams": pools, "settings": self.inner.settings.report() })
    }
}
