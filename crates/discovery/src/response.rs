//! The response's body on its way in. It keeps the call in flight until its end.

use std::{
    collections::VecDeque,
    fmt,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::future::poll_fn;
use http::HeaderMap;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use shop_proto::status::{Reason, Refusal};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep_until},
};
use tonic::Status;

use crate::{attempt::Attempt, connection::Unanswered, member::Cause};

/// A unary response is read to its end before the caller gets it, so that a connection that breaks in the middle can
/// still be answered for by another instance. Of a larger one the rest is passed through.
const READ_AHEAD_LIMIT: usize = 1024 * 1024;

/// The body of a response from a [`Pool`](crate::Pool).
pub struct ResponseBody {
    ahead: VecDeque<Frame<Bytes>>,
    rest: Option<Rest>,
}

struct Rest {
    incoming: Incoming,
    attempt: Attempt,
    deadline: Option<Pin<Box<Sleep>>>,
    /// A place among the pool's calls.
    _permit: OwnedSemaphorePermit,
}

impl ResponseBody {
    /// A body to be read by the caller.
    pub(crate) fn streaming(
        incoming: Incoming,
        attempt: Attempt,
        deadline: Option<Instant>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self { ahead: VecDeque::new(), rest: None }.followed_by(incoming, attempt, deadline, permit)
    }

    fn followed_by(
        mut self,
        incoming: Incoming,
        attempt: Attempt,
        deadline: Option<Instant>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        if !incoming.is_end_stream() {
            let deadline = deadline.map(|deadline| Box::pin(sleep_until(deadline)));
            self.rest = Some(Rest { incoming, attempt, deadline, _permit: permit });
        }
        self
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("ended", &self.is_end_stream()).finish_non_exhaustive()
    }
}

/// What was read of a response before the caller gets it.
pub(crate) struct ReadAhead {
    frames: VecDeque<Frame<Bytes>>,
    /// Set when there is more.
    rest: Option<Incoming>,
}

impl ReadAhead {
    pub(crate) async fn of(mut incoming: Incoming) -> Result<Self, hyper::Error> {
        let mut frames = VecDeque::new();
        let mut length = 0;
        while length <= READ_AHEAD_LIMIT {
            let Some(frame) = poll_fn(|cx| pin!(&mut incoming).poll_frame(cx)).await else {
                return Ok(Self { frames, rest: None });
            };
            let frame = frame?;
            length += frame.data_ref().map_or(0, Bytes::len);
            frames.push_back(frame);
        }
        Ok(Self { frames, rest: Some(incoming) })
    }

    /// The trailers, if the whole response was read.
    pub(crate) fn trailers(&self) -> Option<&HeaderMap> {
        self.frames.back().and_then(Frame::trailers_ref)
    }

    pub(crate) fn into_body(self, attempt: Attempt, deadline: Instant, permit: OwnedSemaphorePermit) -> ResponseBody {
        let body = ResponseBody { ahead: self.frames, rest: None };
        match self.rest {
            Some(incoming) => body.followed_by(incoming, attempt, Some(deadline), permit),
            None => body,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(frame) = self.ahead.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let polled = Pin::new(&mut rest.incoming).poll_frame(cx);
        if polled.is_pending() {
            let Some(deadline) = &mut rest.deadline else { return Poll::Pending };
            ready!(deadline.as_mut().poll(cx));
            self.rest = None;
            return Poll::Ready(Some(Err(deadline_exceeded())));
        }
        let frame = match ready!(polled) {
            Some(Ok(frame)) => {
                if rest.incoming.is_end_stream() {
                    self.rest = None;
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                let lost = Unanswered::within_response(error);
                if matches!(lost, Unanswered::Broken(_)) {
                    rest.attempt.failed(Cause::Broken);
                }
                self.rest = None;
                Some(Err(lost.into()))
            }
            None => {
                self.rest = None;
                None
            }
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && self.rest.is_none()
    }
}

/// What callers get to know of a call that no instance answered; why is in the status's source.
impl From<Unanswered> for Status {
    fn from(unanswered: Unanswered) -> Self {
        let mut status = unavailable();
        match unanswered {
            Unanswered::Broken(error) | Unanswered::Reset(error) => {
                status.set_source(Arc::new(error));
            }
            Unanswered::Unsent(_) | Unanswered::Refused => {}
        }
        status
    }
}

pub(crate) fn unavailable() -> Status {
    Refusal::new(Reason::Unavailable, "Part of the shop can't be reached; try again in a moment.")
        .with_retry_after(RETRY_AFTER)
        .into()
}

pub(crate) fn deadline_exceeded() -> Status {
    Refusal::new(Reason::DeadlineExceeded, "There was no answer in time.").into()
}

pub(crate) fn overloaded() -> Status {
    Refusal::new(Reason::Overloaded, "Too many requests are waiting for part of the shop.")
        .with_retry_after(RETRY_AFTER)
        .into()
}

/// Ejected instances are probed every few hundred milliseconds at first.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(1);
