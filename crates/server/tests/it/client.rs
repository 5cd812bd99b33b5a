//! One connection each: HTTP/2 for gRPC, HTTP/1 for the admin port and the gateway's server.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::body::Body;
use tower_service::Service;

/// A gRPC connection without any deadline, retry or header of its own.
#[derive(Clone)]
pub(crate) struct Connection {
    authority: String,
    send: SendRequest<Body>,
}

pub(crate) async fn connect(address: SocketAddr) -> std::io::Result<Connection> {
    let io = TokioIo::new(TcpStream::connect(address).await?);
    let (send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    Ok(Connection { authority: address.to_string(), send })
}

impl Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.send.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let path = request.uri().path().to_owned();
        *request.uri_mut() =
            Uri::builder().scheme("http").authority(self.authority.as_str()).path_and_query(path).build().unwrap();
        Box::pin(self.send.send_request(request))
    }
}

/// The answer to an HTTP/1 request on a connection of its own, its body unread.
pub(crate) async fn answer(address: SocketAddr, request: Request<Full<Bytes>>) -> std::io::Result<Response<Incoming>> {
    let io = TokioIo::new(TcpStream::connect(address).await?);
    let (mut send, connection) = hyper::client::conn::http1::handshake(io).await.map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    send.send_request(request).await.map_err(std::io::Error::other)
}

/// [`answer`], read.
pub(crate) async fn http1(address: SocketAddr, request: Request<Full<Bytes>>) -> std::io::Result<(StatusCode, String)> {
    let response = answer(address, request).await?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(std::io::Error::other)?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> std::io::Result<(StatusCode, String)> {
    let request = Request::get(path).header("host", "test").body(Full::new(Bytes::new())).unwrap();
    http1(address, request).await
}

/// An access layer that refuses everything, to see what is reachable without it.
#[derive(Clone, Copy)]
pub(crate) struct DenyAll;

impl<S> tower_layer::Layer<S> for DenyAll {
    type Service = DenyAllService;

    fn layer(&self, _: S) -> DenyAllService {
        DenyAllService
    }
}

#[derive(Clone, Copy)]
pub(crate) struct DenyAllService;

impl Service<Request<Body>> for DenyAllService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        std::future::ready(Ok(tonic::Status::permission_denied("no").into_http()))
    }
}
