//! /livez, /readyz and /metrics, on a port of their own that outlives the drain.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{Json, Router, extract::State, response::IntoResponse, routing::get};
use http::{StatusCode, header::CONTENT_TYPE};
use hyper::service::service_fn;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower_service::Service as _;

use crate::{
    connections::{self, Drain},
    listener::{self, Listener, ServerError},
    readiness::Readiness,
    telemetry::metrics,
};

/// What a scrape in progress gets when the process is otherwise done.
const CLOSE_BOUND: Duration = Duration::from_millis(500);

/// The running admin server; it ends when this is dropped or closed.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) address: SocketAddr,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Admin {
    pub(crate) async fn start(address: SocketAddr, readiness: Readiness) -> Result<Self, ServerError> {
        let listener = Listener::bind(address, listener::ADMIN).await?;
        let address = listener.address;
        let stop = CancellationToken::new();
        let drain = Drain { stop: stop.clone(), bound: CLOSE_BOUND };
        let router = router(readiness);
        let service_for = move |_peer| {
            let router = router.clone();
            service_fn(move |request| {
                let mut router = router.clone();
                async move { router.call(request).await.map_err(|never: Infallible| never) }
            })
        };
        let task = tokio::spawn(connections::serve("admin", listener, connections::http(), service_for, drain));
        Ok(Self { address, stop: stop.drop_guard(), task })
    }

    /// Ends it in order.
    pub(crate) async fn close(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::error!(error = %error, "the admin server stopped unexpectedly");
        }
    }
}

fn router(readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(|| async { ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::render()) }))
        .with_state(readiness)
}

async fn readyz(State(readiness): State<Readiness>) -> impl IntoResponse {
    let report = readiness.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report))
}
