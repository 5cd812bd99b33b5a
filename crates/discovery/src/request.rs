//! The request on its way out: a body that can be sent twice when it is small, and the headers every call carries.

use std::{
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::future::poll_fn;
use http::{HeaderName, HeaderValue, Request};
use http_body::{Body, Frame};
use tonic::{Status, body::Body as TonicBody};

/// A request is kept for a second attempt up to this size: what the servers read at most, and the five bytes before it.
pub(crate) const REPLAY_LIMIT: usize = shop_server::MAX_MESSAGE_BYTES + 5;

/// `grpc-timeout` is at most eight digits and a unit ("gRPC over HTTP2").
const TIMEOUT_MAX_VALUE: u128 = 99_999_999;

pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// A request's body: what was read ahead, then what was not.
#[derive(Debug)]
pub(crate) struct RequestBody {
    taken: Arc<AtomicBool>,
    head: Option<Bytes>,
    tail: Option<TonicBody>,
}

impl RequestBody {
    /// A body that is passed through and can't be repeated.
    pub(crate) fn streaming(body: TonicBody) -> Self {
        Self::new(None, Some(body))
    }

    fn new(head: Option<Bytes>, tail: Option<TonicBody>) -> Self {
        Self { taken: Arc::default(), head, tail }
    }

    /// Set once something of it was asked for to be sent, or if there is nothing in it.
    pub(crate) fn taken(&self) -> Arc<AtomicBool> {
        if self.is_end_stream() {
            self.taken.store(true, Ordering::Relaxed);
        }
        Arc::clone(&self.taken)
    }

    /// Reads a body to its end, if that comes within [`REPLAY_LIMIT`].
    pub(crate) async fn buffered(body: TonicBody) -> Result<Self, Status> {
        let mut tail = body;
        let mut head = Bytes::new();
        let mut joined = BytesMut::new();
        while head.len() + joined.len() <= REPLAY_LIMIT {
            let Some(frame) = poll_fn(|cx| pin!(&mut tail).poll_frame(cx)).await else {
                return Ok(Self::new(some_data(joined_with(head, joined)), None));
            };
            let Ok(data) = frame?.into_data() else { continue };
            // A unary request is one frame, which stays where it is.
            if head.is_empty() && joined.is_empty() {
                head = data;
            } else {
                if joined.is_empty() {
                    joined.extend_from_slice(&std::mem::take(&mut head));
                }
                joined.extend_from_slice(&data);
            }
        }
        Ok(Self::new(some_data(joined_with(head, joined)), Some(tail)))
    }

    /// The same body again, if all of it was read ahead.
    pub(crate) fn again(&self) -> Option<Self> {
        self.tail.is_none().then(|| Self::new(self.head.clone(), None))
    }
}

fn joined_with(head: Bytes, joined: BytesMut) -> Bytes {
    if joined.is_empty() { head } else { joined.freeze() }
}

fn some_data(data: Bytes) -> Option<Bytes> {
    (!data.is_empty()).then_some(data)
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.taken.store(true, Ordering::Relaxed);
        if let Some(data) = self.head.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match &mut self.tail {
            Some(tail) => Pin::new(tail).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.head.is_none() && self.tail.as_ref().is_none_or(Body::is_end_stream)
    }
}

/// The same request again, if its body was read ahead. Extensions stay behind: they are not sent.
pub(crate) fn again(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let mut copy = Request::new(request.body().again()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// Reads `grpc-timeout`: digits and a unit.
pub(crate) fn parse_timeout(value: &HeaderValue) -> Option<Duration> {
    let (digits, unit) = value.to_str().ok()?.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// Writes `grpc-timeout` in the finest unit that fits, rounded down.
pub(crate) fn format_timeout(timeout: Duration) -> HeaderValue {
    let (value, unit) = [(timeout.as_micros(), 'u'), (timeout.as_millis(), 'm'), (timeout.as_secs().into(), 'S')]
        .into_iter()
        .find(|(value, _)| *value <= TIMEOUT_MAX_VALUE)
        .unwrap_or((TIMEOUT_MAX_VALUE, 'S'));
    let mut header =
        HeaderValue::try_from(format!("{value}{unit}")).unwrap_or_else(|_| unreachable!("digits and a letter"));
    // No other call has the same: HPACK need not remember it (RFC 7541, section 7.1.3).
    header.set_sensitive(true);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_written_as_it_is_read() {
        for timeout in [Duration::from_micros(1), Duration::from_millis(1500), Duration::from_secs(99)] {
            assert_eq!(parse_timeout(&format_timeout(timeout)), Some(timeout));
        }
        assert_eq!(format_timeout(Duration::from_hours(1)), "3600000m");
        assert_eq!(format_timeout(Duration::from_secs(200_000)), "200000S");
        assert_eq!(format_timeout(Duration::MAX), "99999999S");
    }

    #[test]
    fn what_is_no_timeout_is_not_read() {
        for bad in ["", "S", "10", "1 S", "-1S", "123456789S", "1s"] {
            assert_eq!(parse_timeout(&HeaderValue::from_str(bad).unwrap()), None, "{bad:?}");
        }
        assert_eq!(parse_timeout(&HeaderValue::from_static("2H")), Some(Duration::from_hours(2)));
    }

    async fn collect(mut body: RequestBody) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(frame) = poll_fn(|cx| pin!(&mut body).poll_frame(cx)).await {
            all.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        all
    }

    fn frames(sizes: &[usize]) -> TonicBody {
        let frames: Vec<_> =
            sizes.iter().map(|size| Ok::<_, Status>(Frame::data(Bytes::from(vec![7; *size])))).collect();
        TonicBody::new(http_body_util::StreamBody::new(futures::stream::iter(frames)))
    }

    #[tokio::test]
    async fn a_small_body_is_sent_as_often_as_needed() {
        for sizes in [&[][..], &[5], &[5, 6, 7]] {
            let body = RequestBody::buffered(frames(sizes)).await.unwrap();
            let total: usize = sizes.iter().sum();
            assert_eq!(collect(body.again().unwrap()).await, vec![7; total]);
            assert_eq!(collect(body).await, vec![7; total]);
        }
    }

    #[tokio::test]
    async fn a_large_body_is_sent_whole_and_once() {
        let body = RequestBody::buffered(frames(&[REPLAY_LIMIT, 10, 10])).await.unwrap();
        assert!(body.again().is_none());
        assert_eq!(collect(body).await.len(), REPLAY_LIMIT + 20);
    }
}
