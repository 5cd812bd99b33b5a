//! One request while the gateway has it: who asks, and what it holds.

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::HeaderValue;
use parking_lot::Mutex;
use shop_auth::Caller;
use shop_proto::status::{Reason, Refusal};
use shop_server::deadline::{self, Deadline};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Edge,
    origin::Origin,
    places::{self, Places, Room},
    rates::Client,
};
use crate::problem::Problem;

/// An extension of every request. What it holds is given back when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Visit {
    inner: Arc<Inner>,
}

struct Inner {
    edge: Arc<Edge>,
    origin: Origin,
    credential: Credential,
    client: Client,
    held: Mutex<Held>,
}

/// What was presented, and whose it is.
#[derive(Debug)]
pub(crate) struct Credential {
    /// The header as it came, to be passed on.
    pub(crate) authorization: Option<HeaderValue>,
    /// Whose token it is; nobody's when there was none.
    pub(crate) caller: Result<Caller, Refusal>,
}

#[derive(Default)]
struct Held {
    request: Option<OwnedSemaphorePermit>,
    /// Of the body, so far.
    bytes: usize,
    room: Option<OwnedSemaphorePermit>,
}

impl Visit {
    /// A request that is counted among its client's.
    pub(super) fn new(edge: Arc<Edge>, origin: Origin, credential: Credential, client: Client) -> Self {
        Self { inner: Arc::new(Inner { edge, origin, credential, client, held: Mutex::default() }) }
    }

    /// The client's address.
    pub(crate) fn address(&self) -> IpAddr {
        self.inner.origin.address
    }

    /// What was presented.
    pub(crate) fn credential(&self) -> &Credential {
        &self.inner.credential
    }

    /// What a body may take to begin with.
    pub(crate) fn body_timeout(&self) -> Duration {
        self.inner.edge.body_timeout
    }

    pub(super) fn places(&self) -> &Places {
        &self.inner.edge.places
    }

    /// Takes a place among the requests that are worked on.
    pub(super) fn begin(&self) -> Result<(), Problem> {
        let place = self.inner.edge.places.request()?;
        self.inner.held.lock().request = Some(place);
        Ok(())
    }

    /// The body is whole: only now does it take a place, and only now does its time run.
    pub(crate) fn begin_after_body(&self) -> Result<(), Problem> {
        if self.inner.held.lock().request.is_some() {
            return Ok(());
        }
        self.begin()?;
        deadline::restart(Deadline::after(self.inner.edge.request_timeout));
        Ok(())
    }

    /// Makes room for more of the body, however small the pieces are that it comes in.
    pub(crate) fn hold(&self, bytes: usize) -> Result<(), Problem> {
        let Inner { edge, client, held, .. } = &*self.inner;
        let mut held = held.lock();
        let lacking = places::units(held.bytes + bytes) - places::units(held.bytes);
        if lacking > 0 {
            edge.clients.hold(*client, Room::Bodies, lacking).map_err(|_| beyond_share("sent"))?;
            let more =
                edge.places.body_room(lacking).inspect_err(|_| edge.clients.let_go(*client, Room::Bodies, lacking))?;
            match &mut held.room {
                Some(all) => all.merge(more),
                none => *none = Some(more),
            }
        }
        held.bytes += bytes;
        Ok(())
    }

    /// The client's part of the room for answers, so much of which is taken until this is dropped.
    pub(super) fn answer_share(&self, units: u32) -> Result<AnswerShare, Problem> {
        let Inner { edge, client, .. } = &*self.inner;
        edge.clients.hold(*client, Room::Answers, units).map_err(|_| beyond_share("read"))?;
        Ok(AnswerShare { visit: self.clone(), units })
    }

    /// The answer is there: what it was worked on with is free.
    pub(super) fn answered(&self) {
        self.inner.let_go();
    }
}

fn beyond_share(done: &str) -> Problem {
    let detail = format!("Too much of yours is being {done} at once; wait until some of it is through.");
    Problem::new(Reason::RateLimited, detail)
}

/// What a large answer takes of its client's room, and the visit that it ends.
pub(super) struct AnswerShare {
    visit: Visit,
    units: u32,
}

impl Drop for AnswerShare {
    fn drop(&mut self) {
        let Inner { edge, client, .. } = &*self.visit.inner;
        edge.clients.let_go(*client, Room::Answers, self.units);
    }
}

impl Inner {
    fn let_go(&self) {
        let Held { bytes, .. } = std::mem::take(&mut *self.held.lock());
        // Most requests have no body.
        if bytes > 0 {
            self.edge.clients.let_go(self.client, Room::Bodies, places::units(bytes));
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.let_go();
        self.edge.clients.leave(self.client);
    }
}
