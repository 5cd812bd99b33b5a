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

/// Fails reads with `TimedOut` when there was no read and no write for the whole time-out, and writes when the peer took
/// nothing for theirs. The timer is not moved by each byte: when it fires early it is set again for what is left.
pub(crate) struct IdleTimeout<T> {
    inner: T,
    timer: Pin<Box<Sleep>>,
    timeout: Duration,
    last_activity: Instant,
    write_timeout: Duration,
    /// Runs while a write waits for the peer. Made when the first one does, which is rare.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<T> IdleTimeout<T> {
    pub(crate) fn new(inner: T, timeout: Duration, write_timeout: Duration) -> Self {
        let timer = Box::pin(sleep(timeout));
        Self { inner, timer, timeout, last_activity: Instant::now(), write_timeout, stalled: None }
    }

    /// What a write came to; one that waits has a bound.
    fn written(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.last_activity = Instant::now();
            self.stalled = None;
            return written;
        }
        let write_timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(write_timeout)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
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
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.written(context, written)
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
        let mut socket = IdleTimeout::new(socket, TIMEOUT, TIMEOUT);
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

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_ends_the_connection_and_a_slow_one_does_not() {
        let (mut peer, socket) = duplex(4);
        let mut socket = IdleTimeout::new(socket, TIMEOUT * 100, TIMEOUT);
        let slow = async {
            for _ in 0..8 {
                tokio::time::sleep(TIMEOUT * 9 / 10).await;
                peer.read_u8().await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(socket.write_all(b"twelve bytes"), slow);
        written.unwrap();
        let started = Instant::now();
        let ended = socket.write_all(b"more").await.unwrap_err();
        assert_eq!((ended.kind(), started.elapsed()), (io::ErrorKind::TimedOut, TIMEOUT));
    }
}
