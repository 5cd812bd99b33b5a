//! The HTTP server of the gateway: any axum router, within the limits of the connections, with probes and drain.

use std::{net::SocketAddr, sync::Arc};

use axum::Router;

use crate::{
    connections,
    listener::{self, ServerError},
    options::ServerOptions,
    readiness::Readiness,
    running::{Addresses, Bound, Running},
    shutdown::Shutdown,
    tls::Tls,
};

mod connection;
mod observe;
pub(crate) mod request_id;

pub use connection::{HttpLimits, Peer, address_block};
pub use observe::ObserveHttp;

/// An HTTP server whose ports are bound and whose probes answer, not ready yet.
#[derive(Debug)]
pub struct HttpServer {
    bound: Bound,
}

impl HttpServer {
    /// Takes the ports.
    pub async fn bind(
        name: &'static str,
        default_listen: SocketAddr,
        options: &ServerOptions,
    ) -> Result<Self, ServerError> {
        Ok(Self { bound: Bound::bind(name, listener::HTTP, default_listen, options, None).await? })
    }

    /// Where it can be reached.
    pub fn addresses(&self) -> Addresses {
        self.bound.addresses()
    }

    /// For gates of the gateway's own.
    pub fn readiness(&self) -> Readiness {
        self.bound.readiness.clone()
    }

    /// Shows operators what the process sees, as JSON, at `/debug/<name>` on the admin port.
    pub fn show(&self, name: &'static str, page: impl Fn() -> serde_json::Value + Send + Sync + 'static) {
        self.bound.show(name, page);
    }

    /// What calls to the services are protected with; this server itself speaks plain HTTP, to the proxy in front.
    pub fn tls(&self) -> Option<Tls> {
        self.bound.tls.clone()
    }

    /// Serves the router over HTTP/1.1; requests have the [`Peer`] as an extension.
    pub fn start(self, router: Router, limits: HttpLimits, shutdown: &Shutdown) -> Running {
        let Self { bound } = self;
        let name = bound.name;
        // Without it axum finishes the router anew for each request.
        let connections =
            Arc::new(connection::Connections::new(router.with_state(()), bound.readiness.clone(), limits));
        bound.start(shutdown, |listener, drain| {
            let take = move |stream, peer, stop| connections.take(stream, peer, stop);
            connections::accept(name, listener, take, drain)
        })
    }
}
