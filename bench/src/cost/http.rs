//! HTTP/1.1 requests, so many under way all the time, each on a connection of its own.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, task::JoinSet};

pub(super) type Outgoing = Request<Full<Bytes>>;

/// Connections to one address.
pub(super) struct Http {
    address: SocketAddr,
    connections: Vec<SendRequest<Full<Bytes>>>,
    /// Requests so far, for each to be told apart.
    count: Arc<AtomicUsize>,
}

impl Http {
    pub(super) async fn connect(address: SocketAddr, in_flight: usize) -> anyhow::Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..in_flight {
            connections.push(open(address).await?);
        }
        Ok(Self { address, connections, count: Arc::default() })
    }

    /// Sends one request after another on each connection for so long, and gives how many were answered. Any other answer
    /// than the expected one is an error: what fails is often cheap.
    pub(super) async fn drive(
        &mut self,
        time: Duration,
        expected: StatusCode,
        next: impl Fn(usize) -> Outgoing + Clone + Send + 'static,
    ) -> anyhow::Result<usize> {
        let end = Instant::now() + time;
        let mut visitors = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            let (next, count) = (next.clone(), Arc::clone(&self.count));
            visitors.spawn(async move {
                let mut answered = 0;
                while Instant::now() < end {
                    let (status, body) = exchange(&mut connection, next(count.fetch_add(1, Ordering::Relaxed))).await?;
                    if status != expected {
                        bail!("answered {status} instead of {expected}: {}", String::from_utf8_lossy(&body));
                    }
                    answered += 1;
                }
                Ok((connection, answered))
            });
        }
        let mut all = 0;
        while let Some(visitor) = visitors.join_next().await {
            let (connection, answered) = visitor??;
            self.connections.push(connection);
            all += answered;
        }
        ensure!(all > 0, "{} answered nothing", self.address);
        Ok(all)
    }

    /// One request, and its answer as JSON.
    pub(super) async fn ask(&mut self, request: Outgoing, expected: StatusCode) -> anyhow::Result<Value> {
        let what = format!("{} {}", request.method(), request.uri());
        let connection = self.connections.first_mut().context("no connection")?;
        let (status, body) = exchange(connection, request).await.with_context(|| what.clone())?;
        ensure!(status == expected, "{what}: {status} {}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }
}

async fn open(address: SocketAddr) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("can't reach {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Its errors are the requests' errors.
    tokio::spawn(connection);
    Ok(sender)
}

async fn exchange(connection: &mut SendRequest<Full<Bytes>>, request: Outgoing) -> anyhow::Result<(StatusCode, Bytes)> {
    connection.ready().await?;
    let answer = connection.send_request(request).await?;
    let status = answer.status();
    Ok((status, answer.into_body().collect().await?.to_bytes()))
}

/// A request with what all have.
pub(super) fn request(method: Method, path: &str, bearer: Option<&HeaderValue>, body: Option<&Value>) -> Outgoing {
    let mut request = Request::new(body.map_or_else(Full::default, |body| Full::from(body.to_string())));
    *request.method_mut() = method;
    // Paths are of ids that the shop made.
    *request.uri_mut() = path.parse().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_static("bench.test"));
    if body.is_some() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.extend(bearer.map(|bearer| (header::AUTHORIZATION, bearer.clone())));
    request
}
