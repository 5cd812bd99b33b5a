//! The answer's body: where a call's code is read, and where a stream ends when its connection is to end.

use std::{
    future::Future as _,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use shop_proto::status::{Reason, Refusal};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, body::Body};

use super::observation::Observation;

pin_project! {
    /// The body of a call under observation.
    pub(super) struct CallBody {
        #[pin]
        inner: Body,
        // Only for streams: an answer that is one message ends by itself.
        #[pin]
        leaving: Option<WaitForCancellationFutureOwned>,
        observation: Observation,
        ended: bool,
    }
}

impl CallBody {
    /// `leaving` ends a stream, which may otherwise never end, with UNAVAILABLE: its caller asks again on another
    /// connection.
    pub(super) fn of(
        response: Response<Body>,
        mut observation: Observation,
        leaving: Option<&CancellationToken>,
    ) -> Response<Self> {
        observation.note(response.headers());
        let leaving = leaving.map(|token| token.clone().cancelled_owned());
        response.map(|inner| Self { inner, leaving, observation, ended: false })
    }
}

impl HttpBody for CallBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        // A unary answer is made already and needs no trace id for log lines.
        let streaming = this.leaving.as_mut().as_pin_mut();
        let _entered = streaming.is_some().then(|| this.observation.span().enter());
        let polled = catch_unwind(AssertUnwindSafe(|| this.inner.poll_frame(context)));
        let frame = match polled {
            Err(_panic) => {
                let refusal = Refusal::new(Reason::Internal, "Something went wrong on our side.");
                Some(Ok(last_frame(&refusal.into())))
            }
            Ok(Poll::Ready(frame)) => frame,
            Ok(Poll::Pending) => {
                let Some(leaving) = streaming else { return Poll::Pending };
                ready!(leaving.poll(context));
                let refusal = Refusal::new(Reason::Unavailable, "The connection is at its end; ask again.");
                Some(Ok(last_frame(&refusal.into())))
            }
        };
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.observation.note(trailers);
                    *this.ended = true;
                }
            }
            Some(Err(_)) | None => *this.ended = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn last_frame(status: &Status) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        // Only a text that is no header value can fail, and ours are plain ASCII.
        trailers.clear();
    }
    Frame::trailers(trailers)
}
