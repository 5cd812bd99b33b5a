//! The order in which a process leaves, and the background tasks that leave with it.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::FutureExt as _;
use tokio::task::AbortHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::telemetry::request::RequestSpan;

/// One leave-taking: begun by a signal, then draining, then done. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    inner: Arc<Inner>,
}

/// The process was asked to leave before it had started. [`crate::run`] takes it for what was wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("asked to leave before it had started")]
pub struct LeftEarly;

#[derive(Debug, Default)]
struct Inner {
    begun: CancellationToken,
    draining: CancellationToken,
    drained: CancellationToken,
    tracker: TaskTracker,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Servers that decide when draining starts.
    leads: usize,
    begun: bool,
    next_task: u64,
    tasks: HashMap<u64, (&'static str, Option<AbortHandle>)>,
}

impl Shutdown {
    /// One that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts leaving: servers turn unready, and drain after their lead. More calls change nothing.
    pub fn begin(&self) {
        let wait_for_server = {
            let mut state = self.state();
            state.begun = true;
            state.leads > 0
        };
        self.inner.begun.cancel();
        if !wait_for_server {
            self.inner.draining.cancel();
            self.inner.drained.cancel();
        }
    }

    /// Whether leaving has begun.
    pub fn is_begun(&self) -> bool {
        self.inner.begun.is_cancelled()
    }

    /// Resolves as soon as leaving has begun.
    pub async fn leaving(&self) {
        self.inner.begun.cancelled().await;
    }

    /// Waits for what a process needs before it can start, unless it is asked to leave first: then there is nothing to drain.
    pub async fn unless_leaving<T>(&self, needed: impl Future<Output = T>) -> Result<T, LeftEarly> {
        self.inner.begun.run_until_cancelled(needed).await.ok_or(LeftEarly)
    }

    /// A token that is cancelled when draining starts: after the lead in which callers notice that this process leaves,
    /// or at once in a process without a server. Of several servers the first to drain decides.
    pub fn token(&self) -> CancellationToken {
        self.inner.draining.clone()
    }

    /// A token that is cancelled when the last request was answered or given up: what requests in flight need may go. Of
    /// several servers the last decides; without one it is cancelled at once.
    pub fn drained(&self) -> CancellationToken {
        self.inner.drained.clone()
    }

    /// Runs a task in the background. It should end soon after [`Shutdown::token`] is cancelled, or [`Shutdown::drained`];
    /// [`Shutdown::join`] waits for it. A panic is logged, counted and ends only the task: what the others and the calls do stays of use, and a
    /// process that turned unready would take all its replicas along, which run the same code. Within a request the task's
    /// log lines keep the trace id.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let id = {
            let mut state = self.state();
            state.next_task += 1;
            let id = state.next_task;
            state.tasks.insert(id, (name, None));
            id
        };
        let span = RequestSpan::of_task(name);
        let registration = Registration { id, shutdown: self.clone() };
        let handle = self.inner.tracker.spawn(span.around(async move {
            let _registration = registration;
            if std::panic::AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!(task.name = name, "a background task panicked");
                let panics = opentelemetry::global::meter("shop")
                    .u64_counter("shop.background_task.panics")
                    .with_description("Background tasks that panicked; their work is not done until a restart")
                    .build();
                panics.add(1, &[opentelemetry::KeyValue::new("task.name", name)]);
            }
        }));
        if let Some((_, abort)) = self.state().tasks.get_mut(&id) {
            *abort = Some(handle.abort_handle());
        }
    }

    /// Waits until the background tasks have ended, at most `bound`; those that have not are then aborted and named in
    /// the log.
    pub async fn join(&self, bound: Duration) {
        self.inner.tracker.close();
        if tokio::time::timeout(bound, self.inner.tracker.wait()).await.is_ok() {
            return;
        }
        let late: Vec<_> = self.state().tasks.values().cloned().collect();
        for (name, abort) in late {
            tracing::warn!(
                task.name = name,
                waited_ms = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX),
                "aborted a background task that did not end in time"
            );
            if let Some(abort) = abort {
                abort.abort();
            }
        }
    }

    /// Makes the start of draining wait for [`Lead::over`].
    pub(crate) fn lead(&self) -> Lead {
        self.state().leads += 1;
        Lead { shutdown: self.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock can leave it half changed.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server's say in when draining starts and when it is over.
#[derive(Debug)]
pub(crate) struct Lead {
    shutdown: Shutdown,
}

impl Lead {
    /// The lead is over: draining starts now.
    pub(crate) fn over(&self) {
        self.shutdown.inner.draining.cancel();
    }
}

impl Drop for Lead {
    /// The server has drained. One that ends otherwise must not leave the others waiting.
    fn drop(&mut self) {
        let last = {
            let mut state = self.shutdown.state();
            state.leads -= 1;
            state.leads == 0 && state.begun
        };
        if last {
            self.shutdown.inner.draining.cancel();
            self.shutdown.inner.drained.cancel();
        }
    }
}

/// Takes the task off the list however it ends.
#[derive(Debug)]
struct Registration {
    id: u64,
    shutdown: Shutdown,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shutdown.state().tasks.remove(&self.id);
    }
}
