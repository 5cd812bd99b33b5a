//! What the service does: use cases over the domain and the store, each write one transaction.
//!
//! `create` places an order, once `admission` lets it in, and waits for its saga; `saga` is that saga; `recovery` takes over what a dead process left;
//! `expiry` is the clock; `cancel`, `fulfil`, `pay` and `refund` are what people do to an order; `read` and `watch` are how
//! they look at it; `relay` tells others.

mod admission;
mod bulletin;
mod cancel;
mod create;
mod error;
mod expiry;
mod fulfil;
mod housekeeping;
mod pay;
mod payment_timeout;
mod read;
mod recovery;
mod refund;
mod relay;
mod saga;
mod upstream;
mod wait;
mod watch;
mod worker;

use std::{future::Future, sync::Arc};

use futures::future::BoxFuture;
use sea_orm::DatabaseTransaction;
use shop_server::Shutdown;
use shop_storage::{Database, page::CursorKey};
use tokio::sync::{Notify, Semaphore, oneshot};

use self::bulletin::Bulletin;
pub(crate) use self::{
    create::body_hash,
    error::{Error, Rejection},
    housekeeping::EVENTS_KEPT,
    pay::Paid,
    payment_timeout::PaymentTimeout,
    read::ListQuery,
    refund::{RefundRequest, Refunded},
    relay::Relay,
    saga::LONGEST_PAUSE,
    upstream::Upstream,
    watch::Sighting,
};
use crate::{
    domain::WebhookSecrets,
    failpoint::{self, Commit},
    metrics::Metrics,
    store::sagas::Holder,
};

/// How often a write is tried when other changes are faster. On SQLite none ever is.
const MAX_RACES: usize = 8;
/// Sagas that run at once. Each holds a call in flight or waits for a commit, so more would only queue elsewhere.
const MAX_SAGAS: usize = 256;

/// What the use cases are made of.
pub(crate) struct Parts {
    pub(crate) database: Database,
    pub(crate) upstream: Upstream,
    pub(crate) holder: Holder,
    pub(crate) payment_timeout: PaymentTimeout,
    pub(crate) cursor_key: CursorKey,
    pub(crate) webhook_secrets: WebhookSecrets,
    pub(crate) shutdown: Shutdown,
}

/// The use cases. Clones share everything.
#[derive(Clone)]
pub(crate) struct Orders {
    parts: Arc<Parts>,
    bulletin: Arc<Bulletin>,
    placing_permits: Arc<Semaphore>,
    saga_permits: Arc<Semaphore>,
    watch_permits: Arc<Semaphore>,
    watch_looks: Arc<Semaphore>,
    wake: Arc<Wake>,
    metrics: Metrics,
}

/// Ends the pauses of the workers when there is something new for them.
#[derive(Default)]
struct Wake {
    recovery: Notify,
    expiry: Notify,
    relay: Notify,
}

impl Orders {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
            bulletin: Arc::default(),
            placing_permits: Arc::new(Semaphore::new(admission::MAX_PLACING)),
            saga_permits: Arc::new(Semaphore::new(MAX_SAGAS)),
            watch_permits: Arc::new(Semaphore::new(watch::MAX_WATCHES)),
            watch_looks: Arc::new(Semaphore::new(watch::MAX_LOOKS)),
            wake: Arc::default(),
            metrics: Metrics::new(),
        }
    }

    /// Starts the workers; they end when draining starts.
    pub(crate) fn start_workers(&self, relay: Option<Relay>) {
        let shutdown = &self.parts.shutdown;
        shutdown.spawn("recovery of sagas", self.clone().recover());
        shutdown.spawn("expiry of orders", self.clone().expire());
        shutdown.spawn("look-out for changes", self.clone().look_out());
        shutdown.spawn("housekeeping", self.clone().keep_house(relay.is_some()));
        if let Some(relay) = relay {
            shutdown.spawn("relay of events", self.clone().relay(relay));
        }
    }

    /// Runs one write transaction, with its failpoints; again when another change was faster.
    async fn commit<F, T>(&self, commit: Commit, write: F) -> Result<T, Error>
    where
        F: for<'t> Fn(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, Error>> + Clone + Send + Sync + 'static,
        T: Send + 'static,
    {
        for _ in 0..MAX_RACES {
            let write = write.clone();
            let written = self
                .parts
                .database
                .write(move |transaction| {
                    let writing = write(transaction);
                    Box::pin(async move {
                        let value = writing.await?;
                        failpoint::before_commit(commit);
                        Ok(value)
                    })
                })
                .await;
            match written {
                Err(Error::Raced) => {}
                Ok(value) => {
                    failpoint::after_commit(commit);
                    return Ok(value);
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::Raced)
    }

    /// Runs work to its end even if the caller stops waiting: a handler's future is dropped at its deadline, and between
    /// a commit and what follows from it nothing may be lost but a process.
    async fn detached<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, receiver) = oneshot::channel();
        self.parts.shutdown.spawn(name, async move {
            // The caller may have gone.
            let _ = sender.send(work.await);
        });
        receiver.await.unwrap_or(Err(Error::Leaving))
    }
}
