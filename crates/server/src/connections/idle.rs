//! A socket that fails when nothing moved on it for a while, whatever state the protocol above is in.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// Fails reads with `TimedOut` when there was no read and no write for the whole time-out. The timer is not moved by each
/// byte: when it fires early it is set again for what is left.
pub(crate) struct IdleTimeout<T> {
    inner: T,
    timer: Pin<Box<Sleep>>,
    timeout: Duration,
    last_activity: Instant,
}

impl<T> IdleTimeout<T> {
    pub(crate) fn new(inner: T, timeout: Duration) -> Self {
        Self { inner, timer: Box::pin(sleep(timeout)), timeout, last_activity: Instant::now() }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for IdleTimeout<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Poll::Ready(read) = Pin::new(&mut this.inner).poll_read(context, buffer) {
            this.last_activity = Instant::now();
            return Poll::Ready(read);
        }
        loop {
            ready!(this.timer.as_mut().poll(context));
            let limit = this.last_activity + this.timeout;
            if limit <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            this.timer.as_mut().reset(limit);
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for IdleTimeout<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(context, bytes));
        self.last_activity = Instant::now();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(context, slices));
        self.last_activity = Instant::now();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn silence_ends_the_connection_and_activity_does_not() {
        let (mut peer, socket) = duplex(64);
        let mut socket = IdleTimeout::new(socket, TIMEOUT);
        let started = Instant::now();
        let mut beat = tokio::time::interval(TIMEOUT * 2 / 5);
        for _ in 0..4 {
            beat.tick().await;
            let written = async { peer.write_all(b"x").await };
            let (written, read) = tokio::join!(written, socket.read_u8());
            written.unwrap();
            assert_eq!(read.unwrap(), b'x');
        }
        assert!(started.elapsed() > TIMEOUT, "activity was not kept up beyond the time-out");
        let ended = socket.read_u8().await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    }
}
