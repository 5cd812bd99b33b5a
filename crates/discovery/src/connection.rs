//! One HTTP/2 connection to an instance: how it is made, and what is known of a request that got no answer.

use std::{
    error::Error as _,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response, uri::Authority};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use shop_server::{Tls, tls::HandshakeError};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    inbound::{Goodbye, Greeting, Inbound},
    request::RequestBody,
    target::Upstream,
};

/// How long name resolution, TCP, TLS and the HTTP/2 preface may take together. Instances are in the same cluster: one that
/// needs longer would eat the caller's deadline.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A peer that vanished without a word is found out while calls are open: after the interval and the timeout.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection under TLS that has had its time is cut if its calls have not ended this much later. The server ends them
/// before: this is for one that does not.
const LAST_CALLS: Duration = Duration::from_secs(30);

/// Why there is no connection.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    #[error("the connection failed")]
    Io(#[source] io::Error),
    #[error("the HTTP/2 handshake failed")]
    Handshake(#[source] hyper::Error),
    #[error("the peer does not speak HTTP/2")]
    NotHttp2,
    #[error(transparent)]
    Tls(#[from] HandshakeError),
    #[error("the peer speaks TLS, and this process has no certificate set (SHOP_TLS_CERT_FILE)")]
    WantsTls,
    #[error("no connection within {CONNECT_TIMEOUT:?}")]
    TimedOut,
}

impl ConnectError {
    /// Whether certificates are the matter, or that one side has none.
    pub(crate) fn is_about_tls(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::WantsTls)
    }
}

/// A handle to an open connection; it closes when the last handle is gone and its calls are done.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    sender: SendRequest<RequestBody>,
    goodbye: Goodbye,
    /// When it has had its time.
    retires: Option<Instant>,
    /// Calls that use it.
    pub(crate) load: Arc<AtomicUsize>,
    /// The member's epoch when it was made: what happens on it says nothing about later epochs.
    pub(crate) epoch: u64,
}

/// A connection as it was made.
pub(crate) struct Made {
    pub(crate) sender: SendRequest<RequestBody>,
    goodbye: Goodbye,
    retires: Option<Instant>,
    ended: CancellationToken,
}

/// The end of a connection, to be waited for.
pub(crate) struct Ending {
    ended: CancellationToken,
    goodbye: Goodbye,
    retires: Option<Instant>,
}

impl Made {
    pub(crate) fn ending(&self) -> Ending {
        Ending { ended: self.ended.clone(), goodbye: self.goodbye.clone(), retires: self.retires }
    }
}

impl Ending {
    /// Waits until the connection has ended; whether the peer broke it off, unless this side let go of it.
    pub(crate) async fn breaks_off(self) -> bool {
        self.ended.cancelled().await;
        !self.goodbye.was_said() && self.retires.is_none_or(|retires| Instant::now() < retires)
    }
}

/// What is known of a request that got no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// It never left: here it is.
    Unsent(Box<Request<RequestBody>>),
    /// The server did not act on it. It says so by `REFUSED_STREAM` (RFC 9113, section 8.7), or by a GOAWAY that leaves
    /// the stream out (section 6.8): a server that drains. Or the message never left.
    Refused,
    /// The stream was reset; the connection lives.
    Reset(hyper::Error),
    /// The connection broke: the server may have acted or not.
    Broken(hyper::Error),
}

impl Unanswered {
    /// For an error before the response began.
    ///
    /// h2 gives a remote GOAWAY to those streams alone that are beyond its last one, and to a request that it no longer
    /// takes up; at most the headers of that one are on the wire, and without its message no server acts.
    fn before_response(error: hyper::Error) -> Self {
        let refused = http2_error(&error).is_some_and(|stream| {
            stream.reason() == Some(h2::Reason::REFUSED_STREAM) || stream.is_go_away() && stream.is_remote()
        });
        if refused { Self::Refused } else { Self::within_response(error) }
    }

    /// For an error after the response began: whatever it says, the server acted.
    pub(crate) fn within_response(error: hyper::Error) -> Self {
        let on_stream = http2_error(&error).is_some_and(h2::Error::is_reset);
        if on_stream { Self::Reset(error) } else { Self::Broken(error) }
    }
}

fn http2_error(error: &hyper::Error) -> Option<&h2::Error> {
    error.source().and_then(|source| source.downcast_ref())
}

impl Connection {
    pub(crate) fn new(made: Made, load: Arc<AtomicUsize>, epoch: u64) -> Self {
        let Made { sender, goodbye, retires, ended: _ } = made;
        Self { sender, goodbye, retires, load, epoch }
    }

    /// No more calls are to be sent on it: it is closed, the server said that it takes none, or it has had its time.
    pub(crate) fn is_spent(&self) -> bool {
        self.sender.is_closed()
            || self.goodbye.was_said()
            || self.retires.is_some_and(|retires| retires <= Instant::now())
    }

    pub(crate) async fn send(&mut self, request: Request<RequestBody>) -> Result<Response<Incoming>, Unanswered> {
        let taken = request.body().taken();
        self.sender.try_send_request(request).await.map_err(|mut failed| match failed.take_message() {
            Some(request) => Unanswered::Unsent(Box::new(request)),
            // At most the head of the request is on the wire, and without its message no server acts.
            None if !taken.load(Ordering::Relaxed) => Unanswered::Refused,
            None => Unanswered::before_response(failed.into_error()),
        })
    }
}

/// Connects, and waits until the peer has shown that it speaks HTTP/2.
pub(crate) async fn connect(authority: &Authority, upstream: &Upstream) -> Result<Made, ConnectError> {
    timeout(CONNECT_TIMEOUT, dial(authority, upstream)).await.unwrap_or(Err(ConnectError::TimedOut))
}

async fn dial(authority: &Authority, upstream: &Upstream) -> Result<Made, ConnectError> {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream =
        TcpStream::connect((host, authority.port_u16().unwrap_or_default())).await.map_err(ConnectError::Io)?;
    stream.set_nodelay(true).map_err(ConnectError::Io)?;
    match &upstream.tls {
        None => handshake(stream, upstream, None).await,
        Some(tls) => {
            let stream = tls.connect(upstream.service, stream).await?;
            handshake(stream, upstream, Some(tls)).await
        }
    }
}

async fn handshake<IO>(io: IO, upstream: &Upstream, tls: Option<&Tls>) -> Result<Made, ConnectError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (io, greeting, goodbye) = Inbound::new(io);
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .handshake(TokioIo::new(io))
        .await
        .map_err(ConnectError::Handshake)?;
    let retires = tls.map(|tls| Instant::now() + tls.connection_age());
    let (metrics, ended) = (Arc::clone(&upstream.metrics), CancellationToken::new());
    let end = ended.clone().drop_guard();
    // Ends when the peer closes, or when the last handle is gone and its calls are done.
    tokio::spawn(async move {
        metrics.connected();
        let cut = async {
            match retires {
                Some(retires) => sleep_until(retires + LAST_CALLS).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = connection => if let Err(error) = ended {
                tracing::debug!(error = &error as &dyn std::error::Error, "A connection broke.");
            },
            () = cut => tracing::debug!("A connection whose calls did not end in time was cut."),
        }
        metrics.disconnected();
        drop(end);
    });
    match greeting.await {
        Ok(Greeting::Http2) => Ok(Made { sender, goodbye, retires, ended }),
        Ok(Greeting::Refused(error)) => Err(error.into()),
        Ok(Greeting::Tls) => Err(ConnectError::WantsTls),
        Ok(Greeting::Foreign) | Err(_) => Err(ConnectError::NotHttp2),
    }
}
