//! One request while the gateway has it: who asks, and what it holds.

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::HeaderValue;
use parking_lot::Mutex;
use shop_auth::Caller;
use shop_proto::status::Refusal;
use shop_server::deadline::{self, Deadline};
use tokio::sync::OwnedSemaphorePermit;

use super::{Edge, origin::Origin, places::Places, rates::Client};
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
    bytes: Option<OwnedSemaphorePermit>,
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

    /// Makes room for more of the body.
    pub(crate) fn hold(&self, bytes: usize) -> Result<(), Problem> {
        let more = self.inner.edge.places.request_bytes(bytes)?;
        let mut held = self.inner.held.lock();
        match &mut held.bytes {
            Some(all) => all.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }

    /// The answer is there: what it was worked on with is free.
    pub(super) fn answered(&self) {
        *self.inner.held.lock() = Held::default();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.edge.clients.leave(self.client);
    }
}
