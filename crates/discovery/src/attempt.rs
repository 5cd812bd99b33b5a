//! One try of a call on one instance: counted while it lasts, judged when it ends.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    connection::Connection,
    member::{Cause, Held, Member, Unreachable},
};

/// An instance is to blame for a time-out only if it had this long: what is left of a deadline may be next to nothing.
const FAIR_CHANCE: Duration = Duration::from_millis(100);

/// One attempt of a call on an instance: counts it in flight from its choice until its response body is at an end or the
/// caller lost interest, and tells the member how it went.
#[derive(Debug)]
pub(crate) struct Attempt {
    member: Arc<Member>,
    _on_member: Held,
    on_connection: Option<Held>,
    epoch: u64,
    /// While an answer is awaited: when the member is to blame for there being none.
    blamed_at: Option<Instant>,
}

impl Attempt {
    pub(crate) fn new(member: Arc<Member>) -> Self {
        let on_member = member.hold();
        Self { member, _on_member: on_member, on_connection: None, epoch: 0, blamed_at: None }
    }

    /// A connection to send the call on.
    pub(crate) async fn connection(&mut self) -> Result<Connection, Unreachable> {
        let (connection, held) = self.member.connection().await?;
        self.epoch = connection.epoch;
        self.on_connection = Some(held);
        Ok(connection)
    }

    /// From now on the instance is to answer, until that moment.
    pub(crate) fn await_answer(&mut self, deadline: Instant) {
        self.blamed_at = Some(deadline).filter(|deadline| *deadline >= Instant::now() + FAIR_CHANCE);
    }

    /// The instance is alive.
    pub(crate) fn answered(&mut self) {
        self.blamed_at = None;
        self.member.succeeded(self.epoch);
    }

    /// Nothing more is expected, and nothing can be said.
    pub(crate) fn settled(&mut self) {
        self.blamed_at = None;
    }

    pub(crate) fn failed(&mut self, cause: Cause) {
        self.blamed_at = None;
        self.member.eject(self.epoch, cause);
    }
}

impl Drop for Attempt {
    /// The time limit is enforced from outside, by the pool or by whoever else drops the call's future: in both cases the
    /// clock tells whether the instance had its time.
    fn drop(&mut self) {
        if self.blamed_at.is_some_and(|deadline| Instant::now() >= deadline) {
            self.member.eject(self.epoch, Cause::TimedOut);
        }
    }
}
