//! A server that runs: its addresses, and the order in which it leaves.

use std::{future::Future, net::SocketAddr, time::Duration};

use tokio::task::JoinHandle;

use crate::{
    admin::Admin,
    connections::Drain,
    listener::{Listener, Purpose, ServerError},
    options::ServerOptions,
    readiness::{Gate, Readiness},
    shutdown::Shutdown,
    telemetry::metrics,
    tls::Tls,
};

/// What background tasks get to end after the last request: they were told when draining started.
const BACKGROUND_BOUND: Duration = Duration::from_secs(5);

/// Where a server can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// What it is for: gRPC or HTTP.
    pub serve: SocketAddr,
    /// Probes and metrics.
    pub admin: SocketAddr,
}

/// A started server.
#[derive(Debug)]
pub struct Running {
    name: &'static str,
    addresses: Addresses,
    readiness: Readiness,
    task: JoinHandle<()>,
}

impl Running {
    /// Where it can be reached.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Whether it wants traffic.
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Does this too when the server has left, before [`Running::join`] returns: what its requests and tasks used is closed.
    #[must_use]
    pub fn then(self, close: impl Future<Output = ()> + Send + 'static) -> Self {
        let Self { name, addresses, readiness, task } = self;
        let task = tokio::spawn(async move {
            let left = task.await;
            close.await;
            // Whoever joins hears of a panic all the same.
            if let Some(panic) = left.err().and_then(|stopped| stopped.try_into_panic().ok()) {
                std::panic::resume_unwind(panic);
            }
        });
        Self { name, addresses, readiness, task }
    }

    /// Returns when the server has left: its requests finished or cut, its background tasks ended, its ports closed.
    pub async fn join(self) -> Result<(), ServerError> {
        let name = self.name;
        self.task.await.map_err(|source| ServerError::Stopped { name, source })
    }
}

/// What a gRPC and an HTTP server have in common before they start: both ports bound, probes answered.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) name: &'static str,
    pub(crate) options: ServerOptions,
    pub(crate) listener: Listener,
    pub(crate) readiness: Readiness,
    pub(crate) tls: Option<Tls>,
    started: Gate,
    admin: Admin,
}

impl Bound {
    pub(crate) async fn bind(
        name: &'static str,
        purpose: Purpose,
        default_listen: SocketAddr,
        options: &ServerOptions,
        serves: Option<&'static str>,
    ) -> Result<Self, ServerError> {
        metrics::install(name);
        let tls = Tls::load(&options.tls, serves).map_err(ServerError::Tls)?;
        let listener = Listener::bind(options.listen.unwrap_or(default_listen), purpose).await?;
        let readiness = Readiness::new();
        let started = readiness.gate("started");
        started.close("the process is starting");
        let admin = Admin::start(options.admin_listen, readiness.clone()).await?;
        Ok(Self { name, options: options.clone(), listener, readiness, tls, started, admin })
    }

    pub(crate) fn addresses(&self) -> Addresses {
        Addresses { serve: self.listener.address, admin: self.admin.address }
    }

    pub(crate) fn show(&self, name: &'static str, page: impl Fn() -> serde_json::Value + Send + Sync + 'static) {
        self.admin.pages.add(name, page);
    }

    /// Serves in the background, and leaves in order: unready at once, the lead, no new connections and the rest finished,
    /// background tasks, the admin port.
    pub(crate) fn start<S>(self, shutdown: &Shutdown, serve: impl FnOnce(Listener, Drain) -> S) -> Running
    where
        S: Future<Output = ()> + Send + 'static,
    {
        let addresses = self.addresses();
        let Self { name, options, listener, readiness, started, admin, tls: _ } = self;
        let drain = Drain { stop: tokio_util::sync::CancellationToken::new(), bound: options.drain_timeout };
        let serving = serve(listener, drain.clone());
        started.open();
        let task = tokio::spawn({
            let (shutdown, readiness) = (shutdown.clone(), readiness.clone());
            let lead = shutdown.lead();
            async move {
                let leave = async {
                    shutdown.leaving().await;
                    readiness.leave();
                    tracing::info!(
                        server.name = name,
                        drain.lead_ms = u64::try_from(options.drain_lead.as_millis()).unwrap_or(u64::MAX),
                        "leaving: no longer ready"
                    );
                    tokio::time::sleep(options.drain_lead).await;
                    tracing::info!(server.name = name, "draining: no new connections");
                    drain.stop.cancel();
                    lead.over();
                };
                tokio::join!(serving, leave);
                drop(lead);
                shutdown.join(BACKGROUND_BOUND).await;
                admin.close().await;
                tracing::info!(server.name = name, "left");
            }
        });
        tracing::info!(server.name = name, server.address = %addresses.serve, admin.address = %addresses.admin, "serving");
        Running { name, addresses, readiness, task }
    }
}
