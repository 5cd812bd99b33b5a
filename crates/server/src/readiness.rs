//! Whether this process should get traffic: a set of named gates, each held by what must work first.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::Serialize;
use tokio::sync::watch;

/// Ready when every gate is open and the process is not leaving. Clones share the gates.
#[derive(Debug, Clone)]
pub struct Readiness {
    state: Arc<watch::Sender<State>>,
    /// A copy of `State::leaving` for every request to look at, without a lock.
    leaving: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct State {
    /// Each gate with the reason it is closed for, if it is.
    gates: BTreeMap<&'static str, Option<String>>,
    leaving: bool,
}

impl State {
    fn is_ready(&self) -> bool {
        !self.leaving && self.gates.values().all(Option::is_none)
    }
}

/// What /readyz answers.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) ready: bool,
    leaving: bool,
    closed: Vec<ClosedGate>,
}

#[derive(Debug, Serialize)]
struct ClosedGate {
    gate: &'static str,
    reason: String,
}

impl Readiness {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default(), leaving: Arc::default() }
    }

    /// A gate of this name, closed at first.
    pub fn gate(&self, name: &'static str) -> Gate {
        let gate = Gate { name, state: Arc::clone(&self.state) };
        gate.close("not opened yet");
        gate
    }

    /// Whether traffic should come here now.
    pub fn is_ready(&self) -> bool {
        self.state.borrow().is_ready()
    }

    /// Resolves once ready, or once leaving: what is asked to leave before it was ready never will be.
    pub async fn ready(&self) {
        self.wait_for(|state| state.leaving || state.is_ready()).await;
    }

    async fn wait_for(&self, condition: impl FnMut(&State) -> bool) {
        // It can't fail: the sender lives as long as `self`.
        let _ = self.state.subscribe().wait_for(condition).await;
    }

    /// Resolves once readiness is no longer `last`, with what it is then.
    pub async fn changed_from(&self, last: bool) -> bool {
        self.wait_for(|state| state.is_ready() != last).await;
        !last
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
        self.state.send_modify(|state| state.leaving = true);
    }

    pub(crate) fn report(&self) -> Report {
        let state = self.state.borrow();
        let closed = state
            .gates
            .iter()
            .filter_map(|(gate, reason)| Some(ClosedGate { gate, reason: reason.clone()? }))
            .collect();
        Report { ready: state.is_ready(), leaving: state.leaving, closed }
    }
}

/// One condition of readiness. Dropping it leaves it as it is.
#[derive(Debug)]
pub struct Gate {
    name: &'static str,
    state: Arc<watch::Sender<State>>,
}

impl Gate {
    /// Lets traffic through as far as this condition goes.
    pub fn open(&self) {
        self.set(None);
    }

    /// Stops traffic; the reason is shown by /readyz.
    pub fn close(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    fn set(&self, closed: Option<String>) {
        self.state.send_if_modified(|state| {
            let changed = state.gates.get(self.name) != Some(&closed);
            if changed {
                state.gates.insert(self.name, closed);
            }
            changed
        });
    }
}
