//! Waits for the peer's half of the HTTP/2 connection preface.
//!
//! hyper hands out a connection once the client's half is written, so calls would be sent to whatever accepts
//! connections: a process that hangs, or one that speaks another protocol. RFC 9113, section 3.4 has a server begin with a
//! SETTINGS frame; until that arrived nothing is sent, and a call can go elsewhere whatever its method.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
};

/// Length (3 octets), type, flags, stream identifier (4): RFC 9113, section 4.1.
const FRAME_HEADER: usize = 9;
const FRAME_TYPE_AT: usize = 3;
const SETTINGS: u8 = 0x4;

/// A transport that reports whether the first frame it reads is a SETTINGS frame on stream 0.
pub(crate) struct Greeted<T> {
    transport: T,
    greeting: Option<Greeting>,
}

struct Greeting {
    header: [u8; FRAME_HEADER],
    filled: usize,
    report: oneshot::Sender<bool>,
}

impl<T> Greeted<T> {
    /// The transport, and what resolves to whether the peer greeted; an error means that it closed first.
    pub(crate) fn new(transport: T) -> (Self, oneshot::Receiver<bool>) {
        let (report, greeted) = oneshot::channel();
        let greeting = Greeting { header: [0; FRAME_HEADER], filled: 0, report };
        (Self { transport, greeting: Some(greeting) }, greeted)
    }

    fn inspect(&mut self, read: &[u8]) {
        let Some(greeting) = &mut self.greeting else { return };
        for (slot, octet) in greeting.header[greeting.filled..].iter_mut().zip(read) {
            *slot = *octet;
            greeting.filled += 1;
        }
        if greeting.filled == FRAME_HEADER
            && let Some(Greeting { header, report, .. }) = self.greeting.take()
        {
            let on_connection = header[FRAME_TYPE_AT + 2..].iter().all(|octet| *octet == 0);
            // The receiver is gone when the connect timed out.
            let _ = report.send(header[FRAME_TYPE_AT] == SETTINGS && on_connection);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Greeted<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.transport).poll_read(cx, buffer));
        if self.greeting.is_some() {
            let read = &buffer.filled()[before..];
            if result.is_err() || read.is_empty() {
                self.greeting = None;
            } else {
                self.inspect(read);
            }
        }
        Poll::Ready(result)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Greeted<T> {
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

    async fn greeted(sent: &[u8]) -> Result<bool, oneshot::error::RecvError> {
        let (mut transport, greeted) = Greeted::new(sent);
        let mut read = Vec::new();
        transport.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, sent);
        greeted.await
    }

    #[tokio::test]
    async fn only_a_settings_frame_is_a_greeting() {
        assert_eq!(greeted(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await, Ok(true));
        assert_eq!(greeted(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 200]).await, Ok(true));
        assert_eq!(greeted(&[0, 0, 0, 4, 0, 0, 0, 0, 1]).await, Ok(false));
        assert_eq!(greeted(b"HTTP/1.1 400 Bad Request\r\n\r\n").await, Ok(false));
        assert!(greeted(b"short").await.is_err());
        assert!(greeted(b"").await.is_err());
    }
}
