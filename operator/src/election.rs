//! Who acts: of several instances the one that holds a Lease.
//!
//! It fences: a holder that can't renew stops acting before the Lease can be another's. Both count on clocks of their own that
//! only go forward: the holder from before it asked to renew, the others from when they saw that it had, so that they are
//! never earlier. What an instance does as holder is one future, which is dropped when it is holder no more.

mod store;

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout, timeout_at};

pub use store::{ApiLeases, LeaseRecord, LeaseStore, Taken, Versioned};

/// How long a Lease is its holder's after it was last seen renewed.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long a holder acts without having renewed: less, by more than what a call that was sent may still be on its way.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Between two looks at the Lease.
const RETRY: Duration = Duration::from_secs(2);
/// What one call may take.
const CALL_LIMIT: Duration = Duration::from_secs(3);

/// Takes part in the election.
#[derive(Debug)]
pub struct Elector<S> {
    store: S,
    identity: String,
    /// The Lease as it was last seen to change, and when.
    seen: Option<(Versioned, Instant)>,
}

impl<S: LeaseStore> Elector<S> {
    /// Under this name, which no other instance has.
    pub fn new(store: S, identity: String) -> Self {
        Self { store, identity, seen: None }
    }

    /// Waits until this instance is holder, and then does the work until it is holder no more.
    pub async fn lead<W: Future<Output = ()>>(&mut self, work: impl FnOnce() -> W) {
        let renewed = Mutex::new(self.acquire().await);
        tracing::info!(lease.holder = self.identity, "This instance acts now.");
        tokio::select! {
            biased;
            () = self.keep(&renewed) => {}
            () = fenced(work(), &renewed) => {}
        }
        tracing::warn!(lease.holder = self.identity, "This instance acts no more.");
    }

    /// Lets the Lease go, if this instance holds it, so that another need not wait.
    pub async fn release(&mut self) {
        self.seen = None;
        let release = async {
            // As it is now: the answer to a renewal may not have been waited for.
            let Some(held) = self.store.read().await? else { return Ok(false) };
            if held.record.holder.as_ref() != Some(&self.identity) {
                return Ok(false);
            }
            let free = LeaseRecord { holder: None, ..held.record };
            self.store.write(Some(&held.version), &free).await.map(|_| true)
        };
        match timeout(CALL_LIMIT, release).await {
            Ok(Ok(true)) => tracing::info!(lease.holder = self.identity, "Let the lease go."),
            Ok(Ok(false)) => {}
            Ok(Err::<_, Taken>(_)) | Err(_) => {
                tracing::warn!(lease.holder = self.identity, "The lease is left to expire.");
            }
        }
    }

    /// When it was asked for what then was granted.
    async fn acquire(&mut self) -> Instant {
        loop {
            let asked = Instant::now();
            if self.try_acquire().await {
                return asked;
            }
            sleep(RETRY.mul_f64(0.8 + 0.4 * fastrand::f64())).await;
        }
    }

    async fn try_acquire(&mut self) -> bool {
        let found = match timeout(CALL_LIMIT, self.store.read()).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "The lease can't be read.");
                return false;
            }
            Err(_elapsed) => {
                tracing::warn!("The lease was not read in time.");
                return false;
            }
        };
        let now = Instant::now();
        let transitions = match &found {
            None => {
                self.seen = None;
                0
            }
            Some(found) => {
                if self.seen.as_ref().is_none_or(|(seen, _)| seen.version != found.version) {
                    self.seen = Some((found.clone(), now));
                }
                let since = self.seen.as_ref().map_or(now, |(_, since)| *since);
                let free = found.record.holder.is_none();
                let ours = found.record.holder.as_ref() == Some(&self.identity);
                if !free && !ours && since + LEASE_DURATION.max(found.record.duration) > now {
                    return false;
                }
                found.record.transitions + i32::from(!ours)
            }
        };
        let record = LeaseRecord { holder: Some(self.identity.clone()), duration: LEASE_DURATION, transitions };
        let version = found.map(|found| found.version);
        match timeout(CALL_LIMIT, self.store.write(version.as_deref(), &record)).await {
            Ok(Ok(written)) => {
                self.seen = Some((written, now));
                true
            }
            Ok(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "The lease was not taken.");
                false
            }
            Err(_elapsed) => false,
        }
    }

    /// Renews until that fails for too long, or the Lease is somebody else's.
    async fn keep(&mut self, renewed: &Mutex<Instant>) {
        loop {
            let deadline = *renewed.lock() + RENEW_DEADLINE;
            if timeout_at(deadline, sleep(RETRY)).await.is_err() {
                return;
            }
            let asked = Instant::now();
            match timeout_at(deadline.min(asked + CALL_LIMIT), self.renew()).await {
                Ok(Renewal::Granted) => *renewed.lock() = asked,
                Ok(Renewal::Lost) => return,
                Ok(Renewal::Failed) | Err(_) => {}
            }
            if is_over(renewed) {
                return;
            }
        }
    }

    async fn renew(&mut self) -> Renewal {
        let Some((held, _)) = self.seen.clone() else { return Renewal::Lost };
        match self.store.write(Some(&held.version), &held.record).await {
            Ok(written) => {
                self.seen = Some((written, Instant::now()));
                Renewal::Granted
            }
            Err(Taken::Conflict) => match self.store.read().await {
                // An answer of ours was lost, or somebody edited it: it still is ours.
                Ok(Some(found)) if found.record.holder.as_ref() == Some(&self.identity) => {
                    self.seen = Some((found, Instant::now()));
                    Renewal::Failed
                }
                Ok(_) => Renewal::Lost,
                Err(_) => Renewal::Failed,
            },
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "The lease was not renewed.");
                Renewal::Failed
            }
        }
    }
}

fn is_over(renewed: &Mutex<Instant>) -> bool {
    Instant::now() >= *renewed.lock() + RENEW_DEADLINE
}

/// Work that ends when time is up, whoever is woken first: a process that was frozen finds answers waiting for it before it
/// finds that its time has passed.
async fn fenced(work: impl Future<Output = ()>, renewed: &Mutex<Instant>) {
    let mut work = pin!(work);
    poll_fn(|context| if is_over(renewed) { Poll::Ready(()) } else { work.as_mut().poll(context) }).await;
}

enum Renewal {
    Granted,
    Failed,
    Lost,
}

#[cfg(test)]
mod tests;
