//! The order saga: from a lease on an outstanding step to the next step or to rest.
//!
//! ```text
//! run ── take_step ── ask ───── the call of the step (user or product)
//!   │        └─────── settle ── one transaction: outcome → the order's next state, next step, history, event
//!   └─ postpone ─────────────── the call failed: back to whoever finds it due (see `recovery`)
//! ```
//!
//! What an outcome leads to is not here but in the table [`crate::domain::PLAN`].

mod ask;
mod settle;

pub(super) use self::settle::{owe, owe_total};

use std::{sync::Arc, time::Duration};

use shop_types::Uuid;
use tokio::time;

use self::{ask::Answer, settle::Settled};
use super::{Error, Orders};
use crate::{
    domain::{Order, Outcome, Status},
    failpoint::{self, Call, Commit},
    store::{
        orders,
        sagas::{self, Lease},
    },
};

/// The pause after a first failure; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: what is outstanding goes on within a minute after an outage.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// What is logged when a lease was lost.
const TAKEN_OVER: &str = "the step was taken over";

impl Orders {
    /// Runs a saga in a task of its own. While as many run as may, its step is given back at once: a lease would run out
    /// in a queue.
    pub(super) fn spawn_saga(&self, lease: Lease) {
        let orders = self.clone();
        if let Ok(permit) = Arc::clone(&self.saga_permits).try_acquire_owned() {
            self.parts.shutdown.spawn("order saga", async move {
                orders.run(lease).await;
                drop(permit);
            });
        } else {
            self.parts.shutdown.spawn("giving a step back", async move { orders.give_back(lease).await });
        }
    }

    /// Takes step after step until the saga rests, fails for now, or turns out to be another's.
    async fn run(&self, mut lease: Lease) {
        loop {
            match self.take_step(lease).await {
                Ok(Some(next)) => lease = next,
                Ok(None) => return,
                Err(error) => return self.postpone(lease, &error).await,
            }
        }
    }

    /// One step: its call, and the transaction of its outcome.
    async fn take_step(&self, lease: Lease) -> Result<Option<Lease>, Error> {
        let begun = time::Instant::now();
        let reader = self.parts.database.reader();
        let order = orders::find(reader, lease.order_id, None).await?.ok_or(Error::Missing("order"))?;
        let saga = sagas::find(reader, lease.order_id).await?.ok_or(Error::Missing("saga"))?;
        if saga.epoch != lease.epoch || saga.step != Some(lease.step) {
            tracing::info!(order.id = %lease.order_id, saga.step = %lease.step, "{TAKEN_OVER}");
            return Ok(None);
        }
        let answer = if order.status == Status::Pending && saga.cancel.is_some() {
            Outcome::CancelRequested.into()
        } else {
            failpoint::before_call(Call::Step(lease.step));
            let answer = self.ask(lease.step, &order).await?;
            failpoint::after_call(Call::Step(lease.step));
            answer
        };
        match self.settle(lease, answer).await? {
            Settled::LeaseLost => {
                tracing::info!(order.id = %lease.order_id, saga.step = %lease.step, "{TAKEN_OVER}");
                Ok(None)
            }
            Settled::Done { order, outcome, next } => {
                self.metrics.step_done(lease.step, outcome.as_str(), begun.elapsed());
                self.announce(lease.order_id, outcome, order.as_deref());
                Ok(next)
            }
        }
    }

    /// Writes an outcome: the order's next state and the next step, if the lease still holds.
    async fn settle(&self, lease: Lease, answer: Answer) -> Result<Settled, Error> {
        let (holder, payment_timeout) = (self.parts.holder, self.parts.payment_timeout);
        self.commit(Commit::Step(lease.step), move |transaction| {
            let answer = answer.clone();
            Box::pin(settle::settle(transaction, lease, answer, holder, payment_timeout))
        })
        .await
    }

    /// Tells those who wait, and those who watch.
    fn announce(&self, order_id: Uuid, outcome: Outcome, moved: Option<&Order>) {
        self.bulletin.announce(order_id);
        if let Some(order) = moved {
            self.metrics.moved(order);
            self.wake.relay.notify_one();
            self.wake.expiry.notify_one();
        }
        match outcome {
            Outcome::ReservationLapsed if moved.is_some_and(|order| order.status == Status::Cancelled) => {
                self.metrics.paid_without_stock();
                tracing::error!(order.id = %order_id, "a paid order was cancelled: its reservation had lapsed");
            }
            Outcome::FoundCommitted | Outcome::FoundUncommitted => {
                tracing::error!(order.id = %order_id, outcome = outcome.as_str(), "product had the order in another state");
            }
            _ => {}
        }
    }

    /// Gives a step that failed back, to be due after a pause.
    async fn postpone(&self, lease: Lease, error: &Error) {
        let pause = pause(lease.attempts, Uuid::new_v4());
        self.metrics.step_failed(lease.step);
        log_failure(lease, pause, error);
        let postponed = self
            .commit(Commit::Postpone, move |transaction| {
                Box::pin(async move { Ok(sagas::postpone(transaction, lease, pause).await?) })
            })
            .await;
        self.given_back(lease, postponed.map(drop));
    }

    /// Leaves a step to recovery.
    async fn give_back(&self, lease: Lease) {
        let given_back = self
            .commit(Commit::Postpone, move |transaction| {
                Box::pin(async move { Ok(sagas::give_back(transaction, lease).await?) })
            })
            .await;
        self.given_back(lease, given_back);
    }

    fn given_back(&self, lease: Lease, result: Result<(), Error>) {
        match result {
            Ok(()) => self.wake.recovery.notify_one(),
            // The lease runs out, and the step is found due.
            Err(error) => tracing::warn!(
                order.id = %lease.order_id,
                error = &error as &dyn std::error::Error,
                "a step could not be given back; it goes on when its lease is over"
            ),
        }
    }
}

fn log_failure(lease: Lease, pause: Duration, error: &Error) {
    const REPEATED: &str = "a step failed and will be repeated";
    let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    let cause = error as &dyn std::error::Error;
    let Lease { order_id: id, step, attempts, .. } = lease;
    if error.is_transient() {
        tracing::warn!(order.id = %id, saga.step = %step, saga.attempts = attempts, pause_ms, error = cause, "{REPEATED}");
    } else {
        tracing::error!(order.id = %id, saga.step = %step, saga.attempts = attempts, pause_ms, error = cause, "{REPEATED}");
    }
}

/// The pause after so many failed attempts: doubled each time, with up to a quarter more by chance, so that what failed
/// together does not come back together.
pub(super) fn pause(attempts: i32, chance: Uuid) -> Duration {
    let doublings = u32::try_from(attempts.clamp(0, 16)).unwrap_or(0);
    let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    let quarter = u64::try_from(pause.as_micros() / 4).unwrap_or(u64::MAX).max(1);
    (pause + Duration::from_micros(chance.as_u64_pair().1 % quarter)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let least = |attempts| pause(attempts, Uuid::nil());
        assert_eq!([least(0), least(1), least(4)].map(|pause| pause.as_millis()), [100, 200, 1600]);
        for attempts in [10, 100, i32::MAX] {
            assert_eq!(pause(attempts, Uuid::max()), LONGEST_PAUSE);
        }
        assert!(pause(0, Uuid::max()) < Duration::from_millis(126));
    }
}
