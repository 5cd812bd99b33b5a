//! What a peer says first: whether it has said anything, and whether it wants TLS of a port that has none.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::throttle::Throttle;

/// The first byte of a TLS connection: a handshake record (RFC 8446, section 5.1). No HTTP begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// What was heard of a peer so far; clones are of the same peer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard(Arc<AtomicU8>);

const NOTHING: u8 = 0;
const HTTP: u8 = 1;
const TLS: u8 = 2;

impl Heard {
    pub(crate) fn anything(&self) -> bool {
        self.0.load(Ordering::Relaxed) != NOTHING
    }

    /// Says so if the peer began with TLS: on its side all there is to see is a connection that broke off.
    pub(super) fn log_misunderstanding(&self) {
        static SAID: LazyLock<Throttle> = LazyLock::new(Throttle::new);
        if self.0.load(Ordering::Relaxed) == TLS
            && let Some(unsaid) = SAID.turn()
        {
            tracing::info!(tls.unsaid = unsaid, "a caller speaks TLS to a port that does not");
        }
    }
}

/// A stream that notes the first byte it reads, and refuses to go on with TLS.
pub(crate) struct Opening<T> {
    inner: T,
    heard: Heard,
    first: bool,
}

impl<T> Opening<T> {
    pub(crate) fn new(inner: T) -> (Self, Heard) {
        let heard = Heard::default();
        (Self { inner, heard: heard.clone(), first: true }, heard)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Opening<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first {
            return Pin::new(&mut self.inner).poll_read(context, buffer);
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        if let Some(byte) = buffer.filled().get(before) {
            let said = if *byte == TLS_HANDSHAKE { TLS } else { HTTP };
            self.first = false;
            self.heard.0.store(said, Ordering::Relaxed);
            if said == TLS {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Opening<T> {
    write_as_inner!();

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
