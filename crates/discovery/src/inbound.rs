//! What is seen of the frames that come in: the peer's greeting, and its goodbye.
//!
//! hyper hands out a connection once the client's half of the HTTP/2 preface is written, so calls would be sent to whatever
//! accepts connections: a process that hangs, or one that speaks another protocol. RFC 9113, section 3.4 has a server begin
//! with a SETTINGS frame; until that arrived nothing is sent, and a call can go elsewhere whatever its method.
//!
//! After a GOAWAY (section 6.8) no more calls are taken on a connection, and hyper tells that only to calls that are sent on
//! it all the same.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use shop_server::tls::HandshakeError;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
};

/// Length (3 octets), type, flags, stream identifier (4): RFC 9113, section 4.1.
const FRAME_HEADER: usize = 9;
const FRAME_TYPE_AT: usize = 3;
const SETTINGS: u8 = 0x4;
const GOAWAY: u8 = 0x7;
/// What a TLS server answers to bytes that are no TLS: an alert (RFC 8446, section 5.1).
const TLS_ALERT: u8 = 0x15;

/// How a peer began.
#[derive(Debug)]
pub(crate) enum Greeting {
    /// As an HTTP/2 server does.
    Http2,
    /// With an alert: it wants TLS.
    Tls,
    /// With something else, or it closed.
    Foreign,
    /// It did not take us, after all: TLS 1.3 says so with the first bytes.
    Refused(HandshakeError),
}

/// Set once the peer has said that it takes no more calls on the connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Goodbye(Arc<AtomicBool>);

impl Goodbye {
    pub(crate) fn was_said(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A transport whose inbound frames are looked at.
pub(crate) struct Inbound<T> {
    transport: T,
    header: [u8; FRAME_HEADER],
    filled: usize,
    /// Octets of the frame at hand that are still to come.
    payload: usize,
    greeting: Option<oneshot::Sender<Greeting>>,
    goodbye: Goodbye,
    /// Nothing more is of interest, or what comes is no HTTP/2.
    done: bool,
}

impl<T> Inbound<T> {
    /// The transport, what resolves to how the peer began, and what tells of its goodbye.
    pub(crate) fn new(transport: T) -> (Self, oneshot::Receiver<Greeting>, Goodbye) {
        let (sender, greeting) = oneshot::channel();
        let goodbye = Goodbye::default();
        let inbound = Self {
            transport,
            header: [0; FRAME_HEADER],
            filled: 0,
            payload: 0,
            greeting: Some(sender),
            goodbye: goodbye.clone(),
            done: false,
        };
        (inbound, greeting, goodbye)
    }

    fn report(&mut self, greeting: Greeting) {
        if let Some(report) = self.greeting.take() {
            // The receiver is gone when the connect timed out.
            let _ = report.send(greeting);
        }
    }

    fn inspect(&mut self, mut read: &[u8]) {
        while !read.is_empty() && !self.done {
            let skipped = self.payload.min(read.len());
            self.payload -= skipped;
            read = &read[skipped..];
            let wanted = (FRAME_HEADER - self.filled).min(read.len());
            let (part, rest) = read.split_at(wanted);
            self.header[self.filled..][..wanted].copy_from_slice(part);
            self.filled += wanted;
            read = rest;
            if self.filled == FRAME_HEADER {
                self.filled = 0;
                self.frame();
            }
        }
    }

    /// A frame begins.
    fn frame(&mut self) {
        let [a, b, c, kind, ..] = self.header;
        self.payload = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        if self.greeting.is_some() {
            let on_connection = self.header[FRAME_TYPE_AT + 2..].iter().all(|octet| *octet == 0);
            let greeting = match (kind, on_connection) {
                (SETTINGS, true) => Greeting::Http2,
                _ => self.no_http2(),
            };
            self.report(greeting);
        }
        if kind == GOAWAY {
            self.goodbye.0.store(true, Ordering::Relaxed);
            self.done = true;
        }
    }

    fn no_http2(&mut self) -> Greeting {
        self.done = true;
        if self.header[0] == TLS_ALERT { Greeting::Tls } else { Greeting::Foreign }
    }

    /// The peer has closed, or the connection broke.
    fn ended(&mut self, error: io::Result<()>) -> io::Result<()> {
        if self.greeting.is_none() {
            return error;
        }
        let (greeting, error) = match error.map_err(HandshakeError::of) {
            Err(Ok(refused)) => (Greeting::Refused(refused), Err(io::ErrorKind::ConnectionAborted.into())),
            Err(Err(error)) => (self.no_http2(), Err(error)),
            Ok(()) => (self.no_http2(), Ok(())),
        };
        self.report(greeting);
        error
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Inbound<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.transport).poll_read(cx, buffer));
        let read = &buffer.filled()[before..];
        if result.is_err() || read.is_empty() {
            return Poll::Ready(self.ended(result));
        }
        if !self.done {
            self.inspect(read);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Inbound<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    const EMPTY_SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

    async fn read(sent: &[u8]) -> (Greeting, bool) {
        let (mut transport, greeting, goodbye) = Inbound::new(sent);
        let mut read = Vec::new();
        transport.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, sent);
        (greeting.await.unwrap(), goodbye.was_said())
    }

    #[tokio::test]
    async fn only_a_settings_frame_is_a_greeting() {
        for http2 in [&EMPTY_SETTINGS[..], &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 200]] {
            assert!(matches!(read(http2).await, (Greeting::Http2, false)), "{http2:?}");
        }
        for foreign in [&[0, 0, 0, 4, 0, 0, 0, 0, 1][..], b"HTTP/1.1 400 Bad Request\r\n\r\n", b"short", b""] {
            assert!(matches!(read(foreign).await, (Greeting::Foreign, false)), "{foreign:?}");
        }
        assert!(matches!(read(&[0x15, 3, 3, 0, 2, 2, 50]).await, (Greeting::Tls, false)));
    }

    #[tokio::test]
    async fn a_goaway_is_seen_wherever_it_stands() {
        const GOAWAY_FRAME: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];
        // Its payload has what looks like a GOAWAY's header.
        let data = [&[0, 0, 9, 0, 0, 0, 0, 0, 1][..], &GOAWAY_FRAME[..9]].concat();
        let sent = [&EMPTY_SETTINGS[..], &data, &data].concat();
        assert!(!read(&sent).await.1);
        let sent = [&sent[..], &GOAWAY_FRAME].concat();
        assert!(read(&sent).await.1);
        // And however the bytes are cut.
        for cut in 1..sent.len() {
            let (first, second) = sent.split_at(cut);
            let (mut transport, _, goodbye) = Inbound::new(first.chain(second));
            transport.read_to_end(&mut Vec::new()).await.unwrap();
            assert!(goodbye.was_said(), "cut at {cut}");
        }
    }
}
