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
use super::{Error, Orders, worker};
use crate::{
    domain::{Order, Outcome, Status, Step},
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

/// An order as its saga's last write left it: whoever wrote need not read it again. What the next write decides upon is
/// compared with the stored version first.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) order: Arc<Order>,
    /// Whether it is to be cancelled while it is pending.
    pub(super) cancel_requested: bool,
}

impl From<&Order> for Known {
    /// An order that nobody can have asked to be cancelled yet, or that is not pending.
    fn from(order: &Order) -> Self {
        Self { order: Arc::new(order.clone()), cancel_requested: false }
    }
}

impl Orders {
    /// Runs a saga in a task of its own, from what is known of its order, else from what is stored. While as many run as
    /// may, its step is given back at once: a lease would run out in a queue.
    pub(super) fn spawn_saga(&self, lease: Lease, known: Option<Known>) {
        self.spawn_saga_with((), lease, known);
    }

    /// The same; what is `held` is let go when the saga rests.
    pub(super) fn spawn_saga_with(&self, held: impl Send + 'static, lease: Lease, known: Option<Known>) {
        let orders = self.clone();
        if let Ok(permit) = Arc::clone(&self.saga_permits).try_acquire_owned() {
            self.parts.shutdown.spawn("order saga", async move {
                orders.run(lease, known).await;
                drop((permit, held));
            });
        } else {
            self.parts.shutdown.spawn("giving a step back", async move { orders.give_back(lease).await });
        }
    }

    /// Takes step after step until the saga rests, fails for now, or turns out to be another's.
    async fn run(&self, mut lease: Lease, mut known: Option<Known>) {
        loop {
            match self.take_step(lease, known).await {
                Ok(Some((next, left))) => (lease, known) = (next, Some(left)),
                Ok(None) => return,
                Err(error) => return self.postpone(lease, &error).await,
            }
        }
    }

    /// One step: its call, and the transaction of its outcome. The next one, with what it leaves.
    async fn take_step(&self, lease: Lease, known: Option<Known>) -> Result<Option<(Lease, Known)>, Error> {
        let begun = time::Instant::now();
        let known = match known {
            Some(known) => Some(known),
            None => self.look_up(lease).await?,
        };
        let Some(known) = known else { return Ok(taken_over(lease)) };
        // One for the whole step: stock is held for longer than the order is kept, whatever changes meanwhile.
        let payment_timeout = self.parts.payment_timeout.now();
        let answer = if known.order.status == Status::Pending && known.cancel_requested {
            Outcome::CancelRequested.into()
        } else {
            failpoint::before_call(Call::Step(lease.step));
            let answer = self.ask(lease.step, &known.order, payment_timeout).await?;
            failpoint::after_call(Call::Step(lease.step));
            answer
        };
        match self.settle(lease, known.order, answer, payment_timeout).await? {
            Settled::LeaseLost => Ok(taken_over(lease)),
            Settled::Done { outcome, moved, left, next } => {
                self.metrics.step_done(lease.step, outcome.as_str(), begun.elapsed());
                self.announce(lease, outcome, moved.then_some(&left.order));
                Ok(next.map(|next| (next, left)))
            }
        }
    }

    /// What is stored of an order; `None` when the lease was lost.
    async fn look_up(&self, lease: Lease) -> Result<Option<Known>, Error> {
        let reader = self.parts.database.reader();
        let order = orders::find(reader, lease.order_id, None).await?.ok_or(Error::Missing("order"))?;
        let saga = sagas::find(reader, lease.order_id).await?.ok_or(Error::Missing("saga"))?;
        let held = saga.epoch == lease.epoch && saga.step == Some(lease.step);
        Ok(held.then(|| Known { order: Arc::new(order), cancel_requested: saga.cancel.is_some() }))
    }

    /// Writes an outcome: the order's next state and the next step, if the lease still holds.
    async fn settle(
        &self,
        lease: Lease,
        order: Arc<Order>,
        answer: Answer,
        payment_timeout: Duration,
    ) -> Result<Settled, Error> {
        let holder = self.parts.holder;
        self.commit(Commit::Step(lease.step), move |transaction| {
            let (order, answer) = (Arc::clone(&order), answer.clone());
            Box::pin(settle::settle(transaction, lease, order, answer, holder, payment_timeout))
        })
        .await
    }

    /// Tells those who wait, and those who watch.
    fn announce(&self, lease: Lease, outcome: Outcome, moved: Option<&Arc<Order>>) {
        let order_id = lease.order_id;
        if let Some(order) = moved {
            self.bulletin.announce_as(order);
            self.metrics.moved(order);
            self.wake.relay.notify_one();
            // Else it finds it in its turn.
            if order.expires_at.is_some_and(|expires_at| expires_at.since(order.updated_at) < worker::IDLE) {
                self.wake.expiry.notify_one();
            }
        } else if lease.step == Step::Commit {
            // What is shipped waits for it.
            self.bulletin.announce(order_id);
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

fn taken_over<T>(lease: Lease) -> Option<T> {
    tracing::info!(order.id = %lease.order_id, saga.step = %lease.step, "{TAKEN_OVER}");
    None
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
