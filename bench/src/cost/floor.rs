//! Floors: servers that do the least there is to do, by the same libraries. Each is a process of its own.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{Router, routing};
use bytes::Bytes;
use clap::{Args, Subcommand};
use http::header;
use shop_auth::{AccessLayer, KeyBundle, Revocations, Verifier};
use shop_proto::{
    product::{GetProductRequest, GetProductResponse, Product, ProductStatus},
    types::Money,
};
use shop_server::{GrpcServer, ServerOptions, Shutdown, TelemetryOptions};
use tokio::{net::TcpListener, process::Command};
use tonic::{
    Response, Status,
    body::Body,
    server::{Grpc, NamedService, UnaryService},
    service::Routes,
    transport::server::TcpIncoming,
};
use tonic_prost::ProstCodec;
use tower_service::Service;

use super::process::program;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A floor to be served until standard input ends. Prints its address.
#[derive(Debug, Args)]
pub(super) struct FloorCommand {
    #[command(flatten)]
    pub(super) telemetry: TelemetryOptions,
    #[command(subcommand)]
    pub(super) floor: Floor,
}

#[derive(Debug, Subcommand)]
pub(super) enum Floor {
    /// Plain axum that answers a fixed body.
    Axum {
        /// The body.
        #[arg(long)]
        body: String,
    },
    /// Plain tonic that answers a fixed product.
    Tonic,
    /// The same behind all layers of a service of the shop.
    Layered {
        /// The public keys of the tokens that come.
        #[arg(long)]
        key_bundle: PathBuf,
    },
}

impl Floor {
    /// The process that serves it.
    pub(super) fn command(&self) -> anyhow::Result<Command> {
        let mut command = program("bench")?;
        command.arg("floor");
        match self {
            Self::Axum { body } => command.args(["axum", "--body", body]),
            Self::Tonic => command.arg("tonic"),
            Self::Layered { key_bundle } => command.args(["layered", "--key-bundle"]).arg(key_bundle),
        };
        Ok(command)
    }

    /// Serves.
    pub(super) async fn serve(self, shutdown: Shutdown) -> anyhow::Result<()> {
        match self {
            Self::Axum { body } => {
                let body = Bytes::from(body);
                let answer = move || std::future::ready(([(header::CONTENT_TYPE, "application/json")], body.clone()));
                let listener = TcpListener::bind(LOOPBACK).await?;
                say(listener.local_addr()?)?;
                let router = Router::new().route("/fixed", routing::get(answer));
                tokio::spawn(async move { axum::serve(listener, router).await });
                until_told().await;
            }
            Self::Tonic => {
                let listener = TcpListener::bind(LOOPBACK).await?;
                say(listener.local_addr()?)?;
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                let server = tonic::transport::Server::builder().add_service(FixedProduct::new());
                tokio::spawn(server.serve_with_incoming(incoming));
                until_told().await;
            }
            Self::Layered { key_bundle } => {
                let options = ServerOptions::embedded(LOOPBACK);
                let server = GrpcServer::bind("product", LOOPBACK, &options).await?;
                let bundle = KeyBundle::load(&key_bundle)?;
                let verifier = Verifier::new(bundle, "product", &options.shop_uid, Revocations::local());
                let running = server.start(Routes::new(FixedProduct::new()), AccessLayer::new(verifier), &shutdown);
                say(running.addresses().serve)?;
                until_told().await;
                shutdown.begin();
                running.join().await?;
            }
        }
        Ok(())
    }
}

fn say(address: SocketAddr) -> std::io::Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{address}")
}

async fn until_told() {
    // Standard input can't be waited for otherwise. An error is an end, too.
    let read = || std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    let _ = tokio::task::spawn_blocking(read).await;
}

/// What the generated server does for a method, with an answer that is there.
#[derive(Clone)]
struct FixedProduct(Arc<GetProductResponse>);

impl FixedProduct {
    fn new() -> Self {
        let at = || Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 });
        let product = Product {
            id: "0198c9a5-7d3e-7c4e-9d0a-3f1f5f0a1b2c".into(),
            sku: "GEN-0000123".into(),
            slug: "plain-oak-mug-123".into(),
            name: "Plain oak mug, no. 123".into(),
            description: "A mug of oak, made for trying out how a large catalogue feels.".into(),
            price: Some(Money { amount: 1999, currency: "USD".into() }),
            attributes: [("material".to_owned(), "oak".to_owned())].into(),
            status: ProductStatus::Active.into(),
            version: 1,
            created_at: at(),
            updated_at: at(),
            category_id: "0198c9a5-7d3e-7c4e-9d0a-3f1f5f0a1b2d".into(),
            ..Product::default()
        };
        Self(Arc::new(GetProductResponse { product: Some(product) }))
    }
}

impl NamedService for FixedProduct {
    const NAME: &'static str = "shop.product.v1.ProductService";
}

impl UnaryService<GetProductRequest> for FixedProduct {
    type Response = GetProductResponse;
    type Future = Ready<Result<Response<GetProductResponse>, Status>>;

    fn call(&mut self, _: tonic::Request<GetProductRequest>) -> Self::Future {
        ready(Ok(Response::new(GetProductResponse::clone(&self.0))))
    }
}

impl Service<http::Request<Body>> for FixedProduct {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let product = self.clone();
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(product, request).await) })
    }
}
