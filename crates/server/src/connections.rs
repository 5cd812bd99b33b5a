//! Accepting connections and serving HTTP on them, bounded at every level, and ending them in order.
//!
//! tonic's own server can't cut connections that outlive the drain, nor bound how many there are; this loop serves the
//! gRPC, HTTP and admin ports alike. What only the public port needs is in `crate::http`.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::FutureExt as _;
use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    connections::{idle::IdleTimeout, linger::Linger, opening::Opening},
    listener::Listener,
    tls::Tls,
};

/// The methods of `AsyncWrite`, all but `poll_shutdown`, of a socket around another, its `inner`.
macro_rules! write_as_inner {
    () => {
        fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.inner).poll_write(context, bytes)
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            slices: &[io::IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.inner).poll_write_vectored(context, slices)
        }

        fn is_write_vectored(&self) -> bool {
            self.inner.is_write_vectored()
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.inner).poll_flush(context)
        }
    };
}

pub(crate) mod course;
pub(crate) mod idle;
pub(crate) mod linger;
pub(crate) mod opening;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Builder = auto::Builder<TokioExecutor>;

/// Connections at once. A connection is a descriptor and some 10 KiB; containers get 1 Mi descriptors, shells often 1,024,
/// where the accept loop waits for descriptors to come back. More wait in the system's backlog.
const MAX_CONNECTIONS: usize = 10_000;
/// Pause after the system refused to hand over a connection (out of descriptors or memory): others must end first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A connection without a byte either way for this long is dropped, whatever it waits for: longer than any request and
/// than three HTTP/2 pings.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// A connection whose peer takes nothing of what is sent to it for this long is dropped: what waits to be sent is memory.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for a whole HTTP/1 request head to arrive: against clients that send it a byte at a time. It counts from the end
/// of the answer before, so it is also how long a connection is kept for the next request.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's header fields: a token is under 1 KiB, gRPC details under 8 KiB.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// hyper's least buffer is 8 KiB; a head larger than the buffer is refused with 431.
pub(crate) const HTTP1_BUFFER_BYTES: usize = 16 * 1024;
/// Requests at once on one HTTP/2 connection. A pool opens several connections, so this bounds memory, not use.
const MAX_STREAMS: u32 = 256;
/// The same of gRPC, whose peers are the shop's own: a gateway has two connections to a process, and a call for each reader of
/// an order's events, of which it allows a thousand, beside the others.
const MAX_CALLS: u32 = 1024;
/// Streams that the peer opened and reset before we took them: the bound against rapid reset (CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 20;
/// How often a quiet HTTP/2 peer is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// And how long it may take to say so.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Flow-control windows: one largest message fits a stream without waiting for the peer.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// What is buffered for a peer that reads slowly, a stream.
const MAX_SEND_BUFFER: usize = 256 * 1024;

/// HTTP/1 and HTTP/2 within the limits above. That an HTTP/1 request has at most 100 header fields is hyper's own limit,
/// and not set here: it would make room for them anew for each request.
pub(crate) fn http() -> Builder {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HTTP1_BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// HTTP/2 alone, which is what gRPC speaks.
pub(crate) fn grpc() -> Builder {
    let mut builder = http();
    builder.http2().max_concurrent_streams(MAX_CALLS);
    builder.http2_only()
}

/// When to stop: at `stop` the listener closes and connections finish what they have; `bound` later they are cut.
#[derive(Debug, Clone)]
pub(crate) struct Drain {
    pub(crate) stop: CancellationToken,
    pub(crate) bound: Duration,
}

/// Serves until `drain.stop`, then returns when every connection has ended. A service is made for each connection, with its
/// peer and the token that tells when the connection is to end.
pub(crate) async fn serve<S, B>(
    name: &'static str,
    listener: Listener,
    builder: Builder,
    tls: Option<Tls>,
    service_for: impl Fn(SocketAddr, CancellationToken) -> S,
    drain: Drain,
) where
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let builder = Arc::new(builder);
    let bound = drain.bound;
    let take = |stream, peer: SocketAddr, stop: CancellationToken| {
        let leaving = stop.child_token();
        let service = service_for(peer, leaving.clone());
        let (builder, tls, stream) = (Arc::clone(&builder), tls.clone(), Linger::new(stream));
        Some(async move {
            match tls {
                None => serve_on(stream, &builder, service, leaving).await,
                Some(tls) => {
                    let Some(stream) = tls.accept(stream).await else { return };
                    let aged = async {
                        tokio::time::sleep(age(&tls, peer)).await;
                        leaving.cancel();
                        tokio::time::sleep(bound).await;
                    };
                    tokio::select! {
                        () = serve_on(stream, &builder, service, leaving.clone()) => {}
                        () = aged => tracing::debug!("cut a connection that did not finish in time"),
                    }
                }
            }
        })
    };
    accept(name, listener, take, drain).await;
}

/// The time that a connection gets. It differs by up to a fifth, so that connections that were made together don't all end
/// together; the peer's port is as good as chance.
fn age(tls: &Tls, peer: SocketAddr) -> Duration {
    let age = tls.connection_age();
    age.saturating_sub(age / 5 * u32::from(peer.port() % 64) / 64)
}

/// Accepts until `drain.stop`, then returns when every connection has ended. `take` makes of a connection what is to
/// become of it, or drops it; its future gets the token that tells it to finish what it has.
pub(crate) async fn accept<F>(
    name: &'static str,
    listener: Listener,
    take: impl Fn(TcpStream, SocketAddr, CancellationToken) -> Option<F>,
    drain: Drain,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    let Listener { tcp, .. } = listener;
    let begin = |slot: Option<OwnedSemaphorePermit>, stream: TcpStream, peer| {
        // Without it a small answer waits for the acknowledgement of the one before. It can only fail on a dead socket.
        let _ = stream.set_nodelay(true);
        let Some(connection) = take(stream, peer, drain.stop.clone()) else { return };
        let cut = cut.clone();
        connections.spawn(async move {
            tokio::select! {
                () = connection => {}
                () = cut.cancelled() => {}
            }
            drop(slot);
        });
    };
    let next = || async {
        // The semaphore is never closed.
        let slot = Arc::clone(&slots).acquire_owned().await.ok();
        (slot, tcp.accept().await)
    };
    loop {
        let (slot, accepted) = tokio::select! {
            biased;
            () = drain.stop.cancelled() => break,
            accepted = next() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => begin(slot, stream, peer),
            Err(error) if is_peer_failure(&error) => {}
            Err(error) => {
                tracing::warn!(server.name = name, error = %error, "can't accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Whoever is connected already has perhaps sent a request, which the closing of the port would lose.
    while let Some((slot, Ok((stream, peer)))) = next().now_or_never() {
        begin(slot, stream, peer);
    }
    drop(tcp);
    connections.close();
    if tokio::time::timeout(drain.bound, connections.wait()).await.is_err() {
        tracing::warn!(
            server.name = name,
            server.connections = connections.len(),
            "cut the connections that did not finish in time"
        );
        cut.cancel();
        connections.wait().await;
    }
}

async fn serve_on<IO, S, B>(io: IO, builder: &Builder, service: S, leaving: CancellationToken)
where
    IO: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<B>> + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (io, heard) = Opening::new(IdleTimeout::new(io, IDLE_TIMEOUT, WRITE_TIMEOUT));
    course::run(builder.serve_connection(TokioIo::new(io), service), heard, leaving).await;
}

/// The peer was gone before its connection was taken; the next one is not affected.
fn is_peer_failure(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
