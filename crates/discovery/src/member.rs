//! One instance as the pool sees it: its connections, whether it gets calls, and how it comes back after an ejection.
//!
//! What happens to calls is judged by epochs. An ejection begins a new one and lets go of the connections, so that calls
//! which were under way on them can neither eject the instance a second time nor bring it back.

use std::{
    fmt, mem,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    connection::{self, ConnectError, Connection},
    probe::{ProbeError, probe},
    resolver::Instance,
    target::Upstream,
};

/// Connections an instance, opened as calls overlap. One HTTP/2 connection is one task on each side, and a lost packet
/// holds up all its streams; more than a few only cost memory.
const CONNECTIONS: usize = 2;

/// The wait before an ejected instance is tried again: doubled each time, and up to as much again at random, so that many
/// callers don't come back at the same moment. 100 ms to 5 s.
const PROBE_BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_millis(2500))
    .without_max_times()
    .with_jitter();

/// How long a probe may take, connecting included. Health is answered from memory.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why an instance no longer gets calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// No connection to it could be made.
    Unreachable,
    /// It and we don't agree on TLS.
    Tls,
    /// A connection broke under a call.
    Broken,
    /// A call's deadline passed without an answer.
    TimedOut,
    /// Another process has its address.
    WrongInstance,
}

impl Cause {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Broken => "broken",
            Self::TimedOut => "timed_out",
            Self::WrongInstance => "wrong_instance",
        }
    }
}

/// Nothing could be sent: there is no connection to the instance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unreachable;

type Connecting = Shared<BoxFuture<'static, Result<Connection, Unreachable>>>;

enum Slot {
    Idle,
    Connecting { done: Connecting, load: Arc<AtomicUsize> },
    Open(Connection),
}

impl Slot {
    /// At its end, or never made.
    fn is_spent(&self) -> bool {
        match self {
            Self::Open(connection) => connection.is_spent(),
            Self::Connecting { done, .. } => matches!(done.peek(), Some(Err(Unreachable))),
            Self::Idle => false,
        }
    }

    /// Where the next call goes: the least loaded, and among equals one that is open already.
    fn rank(&self) -> (usize, u8) {
        match self {
            Self::Open(connection) => (connection.load.load(Ordering::Relaxed), 0),
            Self::Connecting { load, .. } => (load.load(Ordering::Relaxed), 1),
            Self::Idle => (0, 2),
        }
    }
}

struct State {
    epoch: u64,
    slots: [Slot; CONNECTIONS],
    /// Why it gets no calls, if it gets none.
    ejected: Option<Cause>,
    /// A task that probes the instance is under way.
    probing: bool,
    /// `None` until an ejection; then how long to wait until the next probe. A call that succeeds resets it, a probe does
    /// not: an instance that answers probes and no calls comes back ever more slowly.
    backoff: Option<ExponentialBackoff>,
}

/// An instance and its connections.
pub(crate) struct Member {
    pub(crate) instance: Instance,
    upstream: Arc<Upstream>,
    /// Calls that it works on, response bodies included.
    load: Arc<AtomicUsize>,
    /// Whether `State::ejected` is set, for the choice among instances, which takes no lock.
    ejected: AtomicBool,
    /// Another process has the address, for good: it gets nothing more, probes included, until the resolver tells of another
    /// instance there.
    replaced: AtomicBool,
    /// Whether a success has something to reset.
    suspect: AtomicBool,
    state: Mutex<State>,
    left: CancellationToken,
}

impl Member {
    pub(crate) fn new(instance: Instance, upstream: Arc<Upstream>) -> Self {
        Self {
            instance,
            upstream,
            load: Arc::new(AtomicUsize::new(0)),
            ejected: AtomicBool::new(false),
            replaced: AtomicBool::new(false),
            suspect: AtomicBool::new(false),
            state: Mutex::new(State {
                epoch: 0,
                slots: [const { Slot::Idle }; CONNECTIONS],
                ejected: None,
                probing: false,
                backoff: None,
            }),
            left: CancellationToken::new(),
        }
    }

    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Counts a call as in flight here.
    pub(crate) fn hold(&self) -> Held {
        Held::new(&self.load)
    }

    pub(crate) fn is_ejected(&self) -> bool {
        self.ejected.load(Ordering::Relaxed)
    }

    pub(crate) fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Relaxed)
    }

    /// A connection for one call, made if need be. Calls that ask while one is being made share the outcome.
    pub(crate) async fn connection(self: &Arc<Self>) -> Result<(Connection, Held), Unreachable> {
        let (connecting, held) = {
            let mut state = self.state.lock();
            for slot in &mut state.slots {
                if slot.is_spent() {
                    *slot = Slot::Idle;
                }
            }
            let epoch = state.epoch;
            let (index, slot) = state
                .slots
                .iter_mut()
                .enumerate()
                .min_by_key(|(_, slot)| slot.rank())
                .unwrap_or_else(|| unreachable!("there is at least one slot"));
            match slot {
                Slot::Open(connection) => {
                    let held = Held::new(&connection.load);
                    return Ok((connection.clone(), held));
                }
                Slot::Connecting { done, load } => (done.clone(), Held::new(load)),
                Slot::Idle => {
                    let load = Arc::new(AtomicUsize::new(0));
                    // In a task of its own: a caller that gives up leaves the others their connection.
                    let task = tokio::spawn(Arc::clone(self).connect(index, epoch, Arc::clone(&load)));
                    let done = task.map(|joined| joined.unwrap_or(Err(Unreachable))).boxed().shared();
                    let held = Held::new(&load);
                    *slot = Slot::Connecting { done: done.clone(), load };
                    (done, held)
                }
            }
        };
        Ok((connecting.await?, held))
    }

    async fn connect(
        self: Arc<Self>,
        index: usize,
        epoch: u64,
        load: Arc<AtomicUsize>,
    ) -> Result<Connection, Unreachable> {
        match connection::connect(&self.instance.authority, &self.upstream).await {
            Ok(made) => {
                let ending = made.ending();
                let connection = Connection::new(made, load, epoch);
                let mut state = self.state.lock();
                if state.epoch == epoch && !self.left.is_cancelled() {
                    state.slots[index] = Slot::Open(connection.clone());
                    tokio::spawn(Arc::clone(&self).look_after(ending, epoch));
                }
                Ok(connection)
            }
            Err(error) => {
                self.log_unreachable(&error);
                self.eject(epoch, if error.is_about_tls() { Cause::Tls } else { Cause::Unreachable });
                Err(Unreachable)
            }
        }
    }

    fn log_unreachable(&self, error: &ConnectError) {
        if error.is_about_tls() && !self.is_ejected() {
            // Somebody has to mend it, and only here is it known what.
            tracing::warn!(
                upstream.service = self.upstream.service,
                instance.id = self.instance.id,
                error = error as &dyn std::error::Error,
                "Can't agree on TLS with an instance."
            );
            return;
        }
        tracing::debug!(
            upstream.service = self.upstream.service,
            instance.id = self.instance.id,
            error = error as &dyn std::error::Error,
            "An instance can't be reached."
        );
    }

    /// Whether it was not ejected since, and is still of the set.
    pub(crate) fn is_at(&self, epoch: u64) -> bool {
        self.state.lock().epoch == epoch && !self.left.is_cancelled()
    }

    /// Takes the instance out until a probe or a call that had no other choice finds it well.
    pub(crate) fn eject(self: &Arc<Self>, epoch: u64, cause: Cause) {
        let mut state = self.state.lock();
        if state.epoch != epoch || self.left.is_cancelled() {
            return;
        }
        state.epoch += 1;
        // Calls under way on them finish; the connections close after the last one.
        state.slots = [const { Slot::Idle }; CONNECTIONS];
        let first = state.backoff.is_none();
        let mut backoff = state.backoff.take().unwrap_or_else(|| PROBE_BACKOFF.build());
        if state.ejected.replace(cause).is_none() {
            self.upstream.metrics.ejected(cause.as_str());
            tracing::warn!(
                upstream.service = self.upstream.service,
                instance.id = self.instance.id,
                cause = cause.as_str(),
                "An instance gets no more calls until it is well."
            );
        }
        if cause == Cause::WrongInstance && self.instance.incarnation.is_some() {
            self.replaced.store(true, Ordering::Relaxed);
        } else if !mem::replace(&mut state.probing, true) {
            // A time-out may be the call's fault rather than the instance's: that is asked at once, the first time.
            let wait = if first && cause == Cause::TimedOut { Duration::ZERO } else { next(&mut backoff) };
            tokio::spawn(Arc::clone(self).probe_back_in(wait));
        }
        state.backoff = Some(backoff);
        self.ejected.store(true, Ordering::Relaxed);
        self.suspect.store(true, Ordering::Relaxed);
    }

    async fn probe_back_in(self: Arc<Self>, mut wait: Duration) {
        let left = self.left.clone();
        let probing = async {
            loop {
                sleep(wait).await;
                let Some(epoch) = self.epoch_if_ejected() else { return };
                match timeout(PROBE_TIMEOUT, probe(&self.instance.authority, &self.upstream)).await {
                    Ok(Ok(())) => self.readmit(epoch),
                    Ok(Err(ProbeError::WrongInstance)) => self.eject(epoch, Cause::WrongInstance),
                    Ok(Err(error)) => self.log_ill(&error),
                    Err(_elapsed) => {}
                }
                wait = self.state.lock().backoff.as_mut().map_or(Duration::ZERO, next);
            }
        };
        left.run_until_cancelled(probing).await;
    }

    fn log_ill(&self, error: &ProbeError) {
        tracing::debug!(
            upstream.service = self.upstream.service,
            instance.id = self.instance.id,
            error = error as &dyn std::error::Error,
            "An ejected instance is not well yet."
        );
    }

    /// Ends the probing when there is nothing to probe for; in one step, so that an ejection right after starts it anew.
    fn epoch_if_ejected(&self) -> Option<u64> {
        let mut state = self.state.lock();
        let probed = state.ejected.is_some() && !self.is_replaced();
        if !probed {
            state.probing = false;
        }
        probed.then_some(state.epoch)
    }

    fn readmit(&self, epoch: u64) {
        let mut state = self.state.lock();
        if state.epoch == epoch {
            self.let_back_in(&mut state);
        }
    }

    fn let_back_in(&self, state: &mut State) {
        if state.ejected.take().is_some() {
            self.ejected.store(false, Ordering::Relaxed);
            tracing::info!(
                upstream.service = self.upstream.service,
                instance.id = self.instance.id,
                "An instance gets calls again."
            );
        }
    }

    /// It answered a call.
    pub(crate) fn succeeded(&self, epoch: u64) {
        if self.suspect.load(Ordering::Relaxed) {
            let mut state = self.state.lock();
            if state.epoch == epoch {
                state.backoff = None;
                self.suspect.store(false, Ordering::Relaxed);
                self.let_back_in(&mut state);
            }
        }
    }

    /// What operators see of the instance.
    pub(crate) fn report(&self) -> Value {
        let state = self.state.lock();
        let connections =
            state.slots.iter().filter(|slot| matches!(slot, Slot::Open(open) if !open.is_spent())).count();
        json!({
            "id": self.instance.id,
            "address": self.instance.authority.as_str(),
            "ejected": state.ejected.map(Cause::as_str),
            "replaced": self.is_replaced(),
            "connections": connections,
            "in_flight": self.load(),
        })
    }

    /// The instance left the set: what it works on finishes, nothing new is sent to it.
    pub(crate) fn leave(&self) {
        let mut state = self.state.lock();
        self.left.cancel();
        state.slots = [const { Slot::Idle }; CONNECTIONS];
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("instance", &self.instance).finish_non_exhaustive()
    }
}

fn next(backoff: &mut ExponentialBackoff) -> Duration {
    // It has no end: `without_max_times`.
    backoff.next().unwrap_or_default()
}

/// One call counted, on an instance or on a connection, until this is dropped.
#[derive(Debug)]
pub(crate) struct Held(Arc<AtomicUsize>);

impl Held {
    fn new(load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(load))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
