//! Connections to the gateways: bounded in number, kept open, opened anew when the other side closed them. A request that
//! provably never left goes out again on another connection or to another gateway; one that did is never repeated here.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::{
    net::TcpStream,
    sync::{Mutex as AsyncMutex, Semaphore},
    time::Instant,
};

use super::Plan;

const HTTP_PORT: u16 = 80;
/// How long a connection may take to be made, before another gateway is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Requests at once on an HTTP/2 connection; gateways allow 256.
const STREAMS: usize = 100;
/// The largest answer that is read: a full page of products is some hundred KiB.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// A request, without the place it goes to.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Incomer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It could not be sent by the time it had to be.
    Late,
    /// No gateway took a connection.
    Refused,
    /// It was sent, or may have been, and the connection ended first.
    Broken,
    /// It was sent and nothing came in time.
    TimedOut,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) outcome: Result<Incomer, Loss>,
    /// When it was handed to a connection for the last time, if ever.
    pub(crate) at: Option<Instant>,
    /// How often it went to another gateway, since one took no connection.
    pub(crate) rerouted: u32,
}

/// All gateways.
pub(crate) struct Gateways {
    all: Vec<Gateway>,
    next: AtomicUsize,
    timeout: Duration,
}

impl Gateways {
    pub(crate) fn new(bases: &[Uri], plan: &Plan) -> Self {
        let all = bases.iter().map(|base| Gateway::new(base, plan)).collect();
        Self { all, next: AtomicUsize::new(0), timeout: plan.timeout }
    }

    /// Sends a request by `send_by`, to the gateway whose turn it is if that takes connections.
    pub(crate) async fn send(&self, outgoing: &Outgoing, send_by: Instant) -> Sent {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut sent = Sent { outcome: Err(Loss::Refused), at: None, rerouted: 0 };
        for turn in 0..self.all.len() {
            let gateway = &self.all[first.wrapping_add(turn) % self.all.len()];
            sent.rerouted = u32::try_from(turn).unwrap_or(u32::MAX);
            sent.outcome = gateway.send(outgoing, send_by, self.timeout, &mut sent.at).await;
            if !matches!(sent.outcome, Err(Loss::Refused)) {
                break;
            }
            sent.at = None;
            if Instant::now() >= send_by {
                break;
            }
        }
        sent
    }
}

type Body = Full<Bytes>;

/// One gateway.
struct Gateway {
    host: HeaderValue,
    authority: String,
    protocol: Protocol,
    /// Requests at once that its connections can carry.
    slots: Semaphore,
}

enum Protocol {
    /// Connections that are open and carry nothing.
    Http1(Mutex<Vec<http1::SendRequest<Body>>>),
    /// Connections that are open and carry anything.
    Http2 { connections: Vec<AsyncMutex<Option<http2::SendRequest<Body>>>>, next: AtomicUsize },
}

/// Why a connection did not give an answer.
enum Failure {
    /// The request is untouched: another connection can have it.
    Unsent(Box<Request<Body>>),
    Refused,
    Broken,
}

impl Gateway {
    fn new(base: &Uri, plan: &Plan) -> Self {
        let host = base.host().unwrap_or_default();
        let authority = format!("{host}:{}", base.port_u16().unwrap_or(HTTP_PORT));
        let (protocol, slots) = if plan.http2 {
            let connections = (0..plan.connections).map(|_| AsyncMutex::default()).collect();
            (Protocol::Http2 { connections, next: AtomicUsize::new(0) }, plan.connections.saturating_mul(STREAMS))
        } else {
            (Protocol::Http1(Mutex::default()), plan.connections)
        };
        Self {
            // A host has no character that a header could not have.
            host: HeaderValue::from_str(plan.host.as_ref().unwrap_or(&authority))
                .unwrap_or(HeaderValue::from_static("")),
            authority,
            protocol,
            slots: Semaphore::new(slots.min(Semaphore::MAX_PERMITS)),
        }
    }

    async fn send(
        &self,
        outgoing: &Outgoing,
        send_by: Instant,
        timeout: Duration,
        at: &mut Option<Instant>,
    ) -> Result<Incomer, Loss> {
        let slot = tokio::time::timeout_at(send_by, self.slots.acquire()).await;
        let Ok(Ok(_slot)) = slot else { return Err(Loss::Late) };
        let Some(request) = self.request(outgoing) else { return Err(Loss::Refused) };
        let exchange = async {
            match &self.protocol {
                Protocol::Http1(idle) => self.exchange_http1(idle, request, at).await,
                Protocol::Http2 { connections, next } => self.exchange_http2(connections, next, request, at).await,
            }
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(Ok(incomer)) => Ok(incomer),
            Ok(Err(Failure::Broken)) => Err(Loss::Broken),
            Ok(Err(Failure::Refused | Failure::Unsent(_))) => Err(Loss::Refused),
            Err(_) => Err(Loss::TimedOut),
        }
    }

    /// The request as this gateway gets it; none if its path is no URL.
    fn request(&self, outgoing: &Outgoing) -> Option<Request<Body>> {
        let mut request = Request::new(Full::new(outgoing.body.clone()));
        *request.method_mut() = outgoing.method.clone();
        *request.headers_mut() = outgoing.headers.clone();
        match self.protocol {
            Protocol::Http1(_) => {
                *request.uri_mut() = outgoing.path.parse().ok()?;
                request.headers_mut().insert(header::HOST, self.host.clone());
            }
            Protocol::Http2 { .. } => {
                let path = outgoing.path.as_str();
                let uri = Uri::builder().scheme("http").authority(self.authority.as_str()).path_and_query(path);
                *request.uri_mut() = uri.build().ok()?;
                *request.version_mut() = Version::HTTP_2;
            }
        }
        Some(request)
    }

    async fn exchange_http1(
        &self,
        idle: &Mutex<Vec<http1::SendRequest<Body>>>,
        mut request: Request<Body>,
        at: &mut Option<Instant>,
    ) -> Result<Incomer, Failure> {
        loop {
            let kept = idle.lock().pop();
            let fresh = kept.is_none();
            let mut connection = match kept {
                Some(mut kept) => match kept.ready().await {
                    Ok(()) => kept,
                    // The gateway closed it meanwhile.
                    Err(_) => continue,
                },
                None => self.connect_http1().await?,
            };
            *at = Some(Instant::now());
            match connection.try_send_request(request).await {
                Ok(response) => {
                    let answer = read(response).await?;
                    idle.lock().push(connection);
                    return Ok(answer);
                }
                Err(error) => match unsent(error) {
                    // An open connection that takes no request is as good as none.
                    Failure::Unsent(_) if fresh => return Err(Failure::Refused),
                    Failure::Unsent(untouched) => request = *untouched,
                    failure => return Err(failure),
                },
            }
        }
    }

    async fn connect_http1(&self) -> Result<http1::SendRequest<Body>, Failure> {
        let stream = self.connect().await?;
        let (sender, connection) = http1::handshake(stream).await.map_err(|_| Failure::Refused)?;
        // Its errors are the requests' errors.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn exchange_http2(
        &self,
        connections: &[AsyncMutex<Option<http2::SendRequest<Body>>>],
        next: &AtomicUsize,
        mut request: Request<Body>,
        at: &mut Option<Instant>,
    ) -> Result<Incomer, Failure> {
        let first = next.fetch_add(1, Ordering::Relaxed);
        // Once around, and once more for the first: each is opened anew where it is found closed.
        for turn in 0..=connections.len() {
            let place = &connections[first.wrapping_add(turn) % connections.len()];
            let mut connection = {
                let mut kept = place.lock().await;
                match kept.as_ref().filter(|kept| !kept.is_closed()) {
                    Some(kept) => kept.clone(),
                    None => kept.insert(self.connect_http2().await?).clone(),
                }
            };
            *at = Some(Instant::now());
            match connection.try_send_request(request).await {
                Ok(response) => return read(response).await,
                Err(error) => match unsent(error) {
                    Failure::Unsent(untouched) => request = *untouched,
                    failure => return Err(failure),
                },
            }
        }
        Err(Failure::Refused)
    }

    async fn connect_http2(&self) -> Result<http2::SendRequest<Body>, Failure> {
        let stream = self.connect().await?;
        let handshake = http2::Builder::new(TokioExecutor::new()).timer(TokioTimer::new()).handshake(stream).await;
        let (sender, connection) = handshake.map_err(|_| Failure::Refused)?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn connect(&self) -> Result<TokioIo<TcpStream>, Failure> {
        let connecting = TcpStream::connect(self.authority.as_str());
        let Ok(Ok(stream)) = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await else {
            return Err(Failure::Refused);
        };
        // It fails only on a dead socket, which sending will tell.
        let _ = stream.set_nodelay(true);
        Ok(TokioIo::new(stream))
    }
}

fn unsent(mut error: TrySendError<Request<Body>>) -> Failure {
    error.take_message().map_or(Failure::Broken, |request| Failure::Unsent(Box::new(request)))
}

async fn read(response: Response<Incoming>) -> Result<Incomer, Failure> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|_| Failure::Broken)?;
    Ok(Incomer { status: head.status, headers: head.headers, body: body.to_bytes() })
}
