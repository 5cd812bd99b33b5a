//! /livez, /readyz, /metrics and /debug/…, on a port of their own that outlives the drain.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    response::IntoResponse,
    routing::get,
};
use http::{StatusCode, header::CONTENT_TYPE};
use hyper::service::service_fn;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower_service::Service as _;

use crate::{
    connections::{self, Drain},
    listener::{self, Listener, ServerError},
    readiness::{Gate, Readiness},
    telemetry::metrics,
};

/// What a scrape in progress gets when the process is otherwise done.
const CLOSE_BOUND: Duration = Duration::from_millis(500);

/// The running admin server; it ends when this is dropped or closed.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) address: SocketAddr,
    pub(crate) pages: DebugPages,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Admin {
    pub(crate) async fn start(address: SocketAddr, readiness: Readiness) -> Result<Self, ServerError> {
        Self::start_with(address, readiness, Liveness::default()).await
    }

    async fn start_with(address: SocketAddr, readiness: Readiness, liveness: Liveness) -> Result<Self, ServerError> {
        let listener = Listener::bind(address, listener::ADMIN).await?;
        let address = listener.address;
        let stop = CancellationToken::new();
        let drain = Drain { stop: stop.clone(), bound: CLOSE_BOUND };
        let pages = DebugPages::default();
        let router = router(readiness, pages.clone(), liveness);
        let service_for = move |_peer, _leaving| {
            let router = router.clone();
            service_fn(move |request| {
                let mut router = router.clone();
                async move { router.call(request).await.map_err(|never: Infallible| never) }
            })
        };
        let task = tokio::spawn(connections::serve("admin", listener, connections::http(), None, service_for, drain));
        Ok(Self { address, pages, stop: stop.drop_guard(), task })
    }

    /// Ends it in order.
    pub(crate) async fn close(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::error!(error = %error, "the admin server stopped unexpectedly");
        }
    }
}

/// Whether the process should be started anew: one that serves is alive as long as it answers.
#[derive(Clone, Default)]
struct Liveness(Option<Arc<dyn Fn() -> Result<(), String> + Send + Sync>>);

impl Liveness {
    fn fault(&self) -> Option<String> {
        self.0.as_ref().and_then(|alive| alive().err())
    }
}

/// Probes and metrics of a process that serves nothing else. It ends when it is dropped or closed.
#[derive(Debug)]
pub struct AdminServer {
    admin: Admin,
    started: Gate,
}

impl AdminServer {
    /// Takes the port; the process is not ready yet, and alive as long as `alive` says so.
    pub async fn start(
        address: SocketAddr,
        alive: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Result<Self, ServerError> {
        let readiness = Readiness::new();
        let started = readiness.gate("started");
        started.close("the process is starting");
        let admin = Admin::start_with(address, readiness, Liveness(Some(Arc::new(alive)))).await?;
        tracing::info!(admin.address = %admin.address, "serving probes and metrics");
        Ok(Self { admin, started })
    }

    /// Where it can be reached.
    pub fn address(&self) -> SocketAddr {
        self.admin.address
    }

    /// The process has started.
    pub fn ready(&self) {
        self.started.open();
    }

    /// Ends it in order.
    pub async fn close(self) {
        self.admin.close().await;
    }
}

type Page = dyn Fn() -> serde_json::Value + Send + Sync;

/// What the process shows of its inside to operators, by name.
#[derive(Clone, Default)]
pub(crate) struct DebugPages(Arc<RwLock<BTreeMap<&'static str, Arc<Page>>>>);

impl DebugPages {
    pub(crate) fn add(&self, name: &'static str, page: impl Fn() -> serde_json::Value + Send + Sync + 'static) {
        // Nothing under this lock can leave it half changed.
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name, Arc::new(page));
    }

    fn get(&self, name: &str) -> Option<Arc<Page>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

impl fmt::Debug for DebugPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.read().unwrap_or_else(PoisonError::into_inner).keys()).finish()
    }
}

async fn debug(State(pages): State<DebugPages>, Path(name): Path<String>) -> Result<impl IntoResponse, StatusCode> {
    let page = pages.get(&name).ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(page()))
}

fn router(readiness: Readiness, pages: DebugPages, liveness: Liveness) -> Router {
    Router::new()
        .route("/debug/{name}", get(debug))
        .with_state(pages)
        .route("/livez", get(livez))
        .with_state(liveness)
        .route("/readyz", get(readyz))
        .route("/metrics", get(|| async { ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::render()) }))
        .with_state(readiness)
}

async fn livez(State(liveness): State<Liveness>) -> (StatusCode, String) {
    match liveness.fault() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(fault) => (StatusCode::SERVICE_UNAVAILABLE, format!("{fault}\n")),
    }
}

async fn readyz(State(readiness): State<Readiness>) -> impl IntoResponse {
    let report = readiness.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report))
}
