//! The HTTP server of the gateway: any axum router, within the limits of the connections, with probes and drain.

use std::{convert::Infallible, net::SocketAddr};

use axum::{Router, extract::ConnectInfo};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use tower_service::Service as _;

use crate::{
    connections,
    listener::{self, ServerError},
    options::ServerOptions,
    readiness::Readiness,
    running::{Addresses, Bound, Running},
    shutdown::Shutdown,
};

mod observe;

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
        Ok(Self { bound: Bound::bind(name, listener::HTTP, default_listen, options).await? })
    }

    /// Where it can be reached.
    pub fn addresses(&self) -> Addresses {
        self.bound.addresses()
    }

    /// For gates of the gateway's own.
    pub fn readiness(&self) -> Readiness {
        self.bound.readiness.clone()
    }

    /// Serves the router over HTTP/1.1 and HTTP/2; handlers get the peer by `ConnectInfo<SocketAddr>`.
    pub fn start(self, router: Router, shutdown: &Shutdown) -> Running {
        let Self { bound } = self;
        let name = bound.name;
        // Without it axum finishes the router anew for each request.
        let router = router.with_state(());
        bound.start(shutdown, |listener, drain| {
            let service_for = move |peer: SocketAddr| {
                let router = router.clone();
                service_fn(move |mut request: Request<Incoming>| {
                    request.extensions_mut().insert(ConnectInfo(peer));
                    let mut router = router.clone();
                    async move { router.call(request).await.map_err(|never: Infallible| never) }
                })
            };
            connections::serve(name, listener, connections::http(), service_for, drain)
        })
    }
}
