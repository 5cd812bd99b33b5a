//! The gRPC server: every call goes through the same steps, in one order, whatever the service.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, service::Routes, transport::server::TcpConnectInfo};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    connections,
    listener::{self, ServerError},
    options::ServerOptions,
    readiness::Readiness,
    running::{Addresses, Bound, Running},
    shutdown::Shutdown,
    tls::Tls,
};

mod body;
mod built_in;
mod health;
mod methods;
mod observation;
mod stack;

use stack::Stack;

/// A gRPC server whose ports are bound and whose probes answer, not ready yet.
#[derive(Debug)]
pub struct GrpcServer {
    bound: Bound,
}

impl GrpcServer {
    /// Takes the ports. `name` is the service's in `x-shop-target` and in logs.
    pub async fn bind(
        name: &'static str,
        default_listen: SocketAddr,
        options: &ServerOptions,
    ) -> Result<Self, ServerError> {
        Ok(Self { bound: Bound::bind(name, listener::GRPC, default_listen, options, Some(name)).await? })
    }

    /// Where it can be reached.
    pub fn addresses(&self) -> Addresses {
        self.bound.addresses()
    }

    /// For gates of the service's own.
    pub fn readiness(&self) -> Readiness {
        self.bound.readiness.clone()
    }

    /// Shows operators what the process sees, as JSON, at `/debug/<name>` on the admin port.
    pub fn show(&self, name: &'static str, page: impl Fn() -> serde_json::Value + Send + Sync + 'static) {
        self.bound.show(name, page);
    }

    /// What this process's own calls to other services are protected with.
    pub fn tls(&self) -> Option<Tls> {
        self.bound.tls.clone()
    }

    /// Serves the routes behind the access layer; health and reflection are served beside them, without credentials.
    ///
    /// Outermost first: span and metrics, panics to INTERNAL, `x-shop-target`, load shed, deadline, access, routes.
    pub fn start<L>(self, routes: Routes, access: L, shutdown: &Shutdown) -> Running
    where
        L: Layer<Routes>,
        L::Service:
            Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request<Body>>>::Future: Send,
    {
        let Self { bound } = self;
        let (name, readiness) = (bound.name, bound.readiness.clone());
        let (options, tls) = (bound.options.clone(), bound.tls.clone());
        bound.start(shutdown, |listener, drain| {
            let stack = Stack::new(name, &options, access.layer(routes.prepare()), readiness);
            let stack = Arc::new(stack);
            let service_for = move |peer, leaving: CancellationToken| {
                let stack = Arc::clone(&stack);
                service_fn(move |request: Request<Incoming>| {
                    let (stack, leaving) = (Arc::clone(&stack), leaving.clone());
                    let mut request = request.map(Body::new);
                    // For `tonic::Request::remote_addr`.
                    request.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr: Some(peer) });
                    async move { Ok::<_, Infallible>(stack.call(request, &leaving).await) }
                })
            };
            connections::serve(name, listener, connections::grpc(), tls, service_for, drain)
        })
    }
}
