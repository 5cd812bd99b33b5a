//! Closing so that the last answer arrives. A socket that is closed with bytes unread makes the system reset the
//! connection, which may take the answer from a client that is still sending: one whose body was too large, or one that has
//! not yet read that the server leaves and that its request was not taken.

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

/// How long a client may take to notice that it has its answer, while it still sends.
const LONGEST: Duration = Duration::from_secs(2);
/// How long nothing may come before it counts as noticed: a slow network's round trip.
const QUIET: Duration = Duration::from_millis(500);
/// What is thrown away meanwhile.
const MAX_BYTES: usize = 4 * 1024 * 1024;
const CHUNK_BYTES: usize = 4 * 1024;

/// A socket whose shutdown ends its own direction first, and then reads what still comes, for a while.
pub(crate) struct Linger<T> {
    inner: T,
    state: State,
}

enum State {
    Open,
    Lingering { quiet: Pin<Box<Sleep>>, end: Instant, left: usize },
    Over,
}

impl<T> Linger<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, state: State::Open }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Linger<T> {
    write_as_inner!();

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Open => {
                    ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
                    let end = Instant::now() + LONGEST;
                    this.state = State::Lingering { quiet: Box::pin(sleep(QUIET)), end, left: MAX_BYTES };
                }
                State::Lingering { quiet, end, left } => {
                    let mut space = [0; CHUNK_BYTES];
                    let mut buffer = ReadBuf::new(&mut space);
                    let read = Pin::new(&mut this.inner).poll_read(context, &mut buffer);
                    let length = buffer.filled().len();
                    match read {
                        Poll::Ready(Ok(())) if length > 0 && *left > length && Instant::now() < *end => {
                            *left -= length;
                            quiet.as_mut().reset(Instant::now() + QUIET);
                        }
                        // The peer has closed or gone, or has had its time.
                        Poll::Ready(_) => this.state = State::Over,
                        Poll::Pending => {
                            ready!(quiet.as_mut().poll(context));
                            this.state = State::Over;
                        }
                    }
                }
                State::Over => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Linger<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}
