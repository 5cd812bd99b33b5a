//! What the gateway works on at once, and the memory of it: requests, bytes of bodies that came in, and bytes of answers
//! that wait for their reader. What does not fit is refused at once, rather than queued.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use shop_proto::status::Reason;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::visit::{AnswerShare, Visit};
use crate::problem::Problem;

/// Bodies of requests that are held at once, in all: 64 of the largest.
const REQUEST_BYTES: usize = 64 * 1024 * 1024;
/// Large answers that are held at once, in all.
const ANSWER_BYTES: usize = 128 * 1024 * 1024;
/// Answers below this are not counted: so many as there may be connections are bounded by them.
const LARGE_ANSWER: u64 = 64 * 1024;
/// One client has an eighth of either: a few who read or send slowly leave room for everyone else.
const SHARES: usize = 8;
/// Permits count kilobytes: a semaphore's number fits.
const UNIT: usize = 1024;
/// What a large answer is handed over in: the rest stays here, where it is counted, until the socket takes it.
const PART: usize = 32 * 1024;

/// All places there are.
#[derive(Debug)]
pub(crate) struct Places {
    requests: Arc<Semaphore>,
    request_bytes: Arc<Semaphore>,
    answer_bytes: Arc<Semaphore>,
}

impl Places {
    pub(crate) fn new(requests: usize) -> Self {
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self {
            requests: semaphore(requests),
            request_bytes: semaphore(REQUEST_BYTES / UNIT),
            answer_bytes: semaphore(ANSWER_BYTES / UNIT),
        }
    }

    /// A place for a request that is worked on from now.
    pub(crate) fn request(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.requests).try_acquire_owned();
        place.map_err(|_| overloaded("More requests are being worked on than the gateway takes."))
    }

    /// Room for the bytes of a body, or for more of them.
    pub(super) fn body_room(&self, room: u32) -> Result<OwnedSemaphorePermit, Problem> {
        let room = Arc::clone(&self.request_bytes).try_acquire_many_owned(room);
        room.map_err(|_| overloaded("More is being sent to the gateway than it takes."))
    }

    /// An answer's body on its way out. A large one keeps its room, and the client's request in flight, until it is sent.
    pub(crate) fn answer(&self, bytes: Bytes, visit: &Visit) -> Result<Body, Problem> {
        if bytes.len() as u64 <= LARGE_ANSWER {
            return Ok(Body::from(bytes));
        }
        let share = visit.answer_share(units(bytes.len()))?;
        let room = Arc::clone(&self.answer_bytes).try_acquire_many_owned(units(bytes.len()));
        let room = room.map_err(|_| overloaded("More answers are being sent than the gateway holds."))?;
        Ok(Body::new(Large { bytes, _held: (room, share) }))
    }
}

/// What is held in memory for clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// Bodies of requests.
    Bodies,
    /// Large answers.
    Answers,
}

impl Room {
    /// Of all the room that there is, what one client may have.
    pub(super) fn share(self) -> u32 {
        match self {
            Self::Bodies => units(REQUEST_BYTES / SHARES),
            Self::Answers => units(ANSWER_BYTES / SHARES),
        }
    }
}

/// Whether an answer of that size takes room among the large ones.
pub(crate) fn is_large(bytes: u64) -> bool {
    bytes > LARGE_ANSWER
}

/// The room that so many bytes take.
pub(super) fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

fn overloaded(detail: &str) -> Problem {
    Problem::new(Reason::Overloaded, detail)
}

/// A body that is whole already, handed over in parts.
struct Large {
    bytes: Bytes,
    _held: (OwnedSemaphorePermit, AnswerShare),
}

impl http_body::Body for Large {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let length = self.bytes.len().min(PART);
        let part = (length > 0).then(|| Ok(Frame::data(self.bytes.split_to(length))));
        Poll::Ready(part)
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
