//! Connections of the public port: HTTP/1.1, so many from one address, and each ended so that its last answer arrives.
//!
//! HTTP/2 is for the proxy in front, which has the TLS that browsers want with it: here every connection has one request at
//! a time, so that what bounds connections bounds requests, and a peer that stops reading is seen by its socket.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Router, routing::future::RouteFuture};
use http::{HeaderValue, Request, header::CONNECTION};
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use opentelemetry::{global, metrics::Counter};
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use crate::connections::{
    HEAD_TIMEOUT, HTTP1_BUFFER_BYTES, IDLE_TIMEOUT, WRITE_TIMEOUT, course, idle::IdleTimeout, linger::Linger,
    opening::Opening,
};
use crate::readiness::Readiness;

/// Connections that one address may have: forty browsers behind it. It takes forty such addresses to use up all there are.
const CONNECTIONS_PER_ADDRESS: usize = 256;

/// What the connections of the public port may do.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// Connections at once from one [`address_block`]; more are closed unanswered.
    pub connections_per_address: usize,
    /// Proxies: they carry many clients' requests, so that bound is not for them, and they are trusted to say whose.
    pub proxies: Vec<IpNet>,
    /// Time for the whole head of a request, from the end of the answer before.
    pub head_timeout: Duration,
    /// Time in which a client must have taken something of what is sent to it.
    pub write_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_per_address: CONNECTIONS_PER_ADDRESS,
            proxies: Vec::new(),
            head_timeout: HEAD_TIMEOUT,
            write_timeout: WRITE_TIMEOUT,
        }
    }
}

/// What counts as one address: an IPv4 address, or the /64 that an IPv6 subscriber has whole.
pub fn address_block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

/// Who is at the other end of a request's connection; an extension of every request.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Where the connection comes from.
    pub address: SocketAddr,
    /// Whether it is one of [`HttpLimits::proxies`], whose word on a request is taken.
    pub is_proxy: bool,
}

/// Takes connections within the limits.
pub(super) struct Connections {
    router: Router,
    readiness: Readiness,
    builder: http1::Builder,
    limits: HttpLimits,
    open: Open,
    refused: Counter<u64>,
}

/// Connections by address block.
type Open = Arc<Mutex<HashMap<IpAddr, usize>>>;

impl Connections {
    pub(super) fn new(router: Router, readiness: Readiness, limits: HttpLimits) -> Self {
        let mut builder = http1::Builder::new();
        // The number of header fields is bounded as in `connections::http`.
        builder.timer(TokioTimer::new()).header_read_timeout(limits.head_timeout).max_buf_size(HTTP1_BUFFER_BYTES);
        let refused = global::meter("shop")
            .u64_counter("http.server.refused_connections")
            .with_description("Connections closed unanswered because their address had too many")
            .build();
        Self { router, readiness, builder, limits, open: Open::default(), refused }
    }

    /// What becomes of a connection; none if its address has too many.
    pub(super) fn take(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        stop: CancellationToken,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let is_proxy = self.limits.proxies.iter().any(|network| network.contains(&peer.ip().to_canonical()));
        let counted = if is_proxy { None } else { Some(self.count(peer.ip())?) };
        give_up_after(&stream, self.limits.write_timeout);
        let io = IdleTimeout::new(Linger::new(stream), IDLE_TIMEOUT, self.limits.write_timeout);
        let (io, heard) = Opening::new(io);
        let peer = Peer { address: peer, is_proxy };
        let routed = Routed { router: self.router.clone(), peer, readiness: self.readiness.clone() };
        let connection = self.builder.serve_connection(TokioIo::new(io), routed);
        Some(async move {
            let _counted = counted;
            course::run(connection, heard, stop).await;
        })
    }

    fn count(&self, address: IpAddr) -> Option<Counted> {
        let block = address_block(address);
        let mut open = self.open.lock();
        let count = open.entry(block).or_default();
        if *count >= self.limits.connections_per_address {
            drop(open);
            self.refused.add(1, &[]);
            return None;
        }
        *count += 1;
        Some(Counted { open: Arc::clone(&self.open), block })
    }
}

/// Has the system end a connection whose peer has acknowledged nothing for so long. Small pieces, as a stream of events is made
/// of, it would take for a peer that is gone until its own buffer is full.
fn give_up_after(stream: &TcpStream, bound: Duration) {
    // Elsewhere the system's own bound, a quarter of an hour, has to do.
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, u32::try_from(bound.as_millis()).unwrap_or(u32::MAX));
}

/// One connection among its address's.
struct Counted {
    open: Open,
    block: IpAddr,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&self.block) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.block);
            }
        }
    }
}

/// The router for the requests of one connection.
struct Routed {
    router: Router,
    peer: Peer,
    readiness: Readiness,
}

impl Service<Request<Incoming>> for Routed {
    type Response = axum::response::Response;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        Answer { inner: self.router.clone().call(request), readiness: self.readiness.clone() }
    }
}

pin_project! {
    /// An answer that sends its client to another connection when this process leaves. HTTP/1.1 has no other way to say
    /// so: a client whose idle connection is closed may be sending on it that very moment.
    struct Answer {
        #[pin]
        inner: RouteFuture<Infallible>,
        readiness: Readiness,
    }
}

impl Future for Answer {
    type Output = Result<axum::response::Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut answer = ready!(this.inner.poll(context));
        if let Ok(response) = &mut answer
            && this.readiness.is_leaving()
        {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_subscriber() {
        let block = |text: &str| address_block(text.parse().unwrap()).to_string();
        assert_eq!(block("203.0.113.7"), "203.0.113.7");
        assert_eq!(block("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(block("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
