//! Named places at which a crash test stops the process: before and after every commit and every call of the saga, of the
//! requests that change orders, and of the relay.
//!
//! Without the feature `failpoints` they are nothing. With it they are points of the `fail` crate under the names that
//! [`failpoints`] lists.

use crate::domain::Step;

/// A transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commit {
    /// Order, key and first step.
    Create,
    /// The outcome of a step.
    Step(Step),
    /// A due step is taken over.
    Claim,
    /// A failed step is given back.
    Postpone,
    Pay,
    /// A payment by the provider's notice.
    Notice,
    Cancel,
    Ship,
    Deliver,
    Refund,
    Expire,
    /// The events of an order are taken on.
    RelayClaim,
    /// An event was sent.
    RelaySent,
    /// All events of an order were sent.
    RelayFinish,
    /// Events are given back after a failure.
    RelayPostpone,
    /// What is kept for a time only is dropped.
    Sweep,
}

/// A call to another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// user.ValidateUser for an address, before the order is there.
    Address,
    /// The call of a step.
    Step(Step),
    /// An event to the sink.
    Event,
}

impl Commit {
    fn all() -> Vec<Self> {
        let mut all = vec![Self::Create];
        all.extend(Step::ALL.iter().copied().map(Self::Step));
        all.extend([Self::Claim, Self::Postpone, Self::Pay, Self::Notice, Self::Cancel, Self::Ship, Self::Deliver]);
        all.extend([Self::Refund, Self::Expire]);
        all.extend([Self::RelayClaim, Self::RelaySent, Self::RelayFinish, Self::RelayPostpone, Self::Sweep]);
        all
    }

    fn name(self) -> String {
        match self {
            Self::Create => "create".to_owned(),
            Self::Step(step) => format!("saga.{step}"),
            Self::Claim => "saga.claim".to_owned(),
            Self::Postpone => "saga.postpone".to_owned(),
            Self::Pay => "pay".to_owned(),
            Self::Notice => "notice".to_owned(),
            Self::Cancel => "cancel".to_owned(),
            Self::Ship => "ship".to_owned(),
            Self::Deliver => "deliver".to_owned(),
            Self::Refund => "refund".to_owned(),
            Self::Expire => "expire".to_owned(),
            Self::RelayClaim => "relay.claim".to_owned(),
            Self::RelaySent => "relay.sent".to_owned(),
            Self::RelayFinish => "relay.finish".to_owned(),
            Self::RelayPostpone => "relay.postpone".to_owned(),
            Self::Sweep => "sweep".to_owned(),
        }
    }
}

impl Call {
    fn all() -> Vec<Self> {
        let mut all = vec![Self::Address];
        all.extend(Step::ALL.iter().copied().map(Self::Step));
        all.push(Self::Event);
        all
    }

    fn name(self) -> String {
        match self {
            Self::Address => "create.address".to_owned(),
            Self::Step(step) => format!("saga.{step}"),
            Self::Event => "relay.event".to_owned(),
        }
    }
}

/// Every failpoint: `order.<place>.before_commit`, `.after_commit`, `.before_call`, `.after_call`.
pub fn failpoints() -> Vec<String> {
    let commits = Commit::all().into_iter().flat_map(|commit| [before_commit_name(commit), after_commit_name(commit)]);
    let calls = Call::all().into_iter().flat_map(|call| [before_call_name(call), after_call_name(call)]);
    commits.chain(calls).collect()
}

fn before_commit_name(commit: Commit) -> String {
    format!("order.{}.before_commit", commit.name())
}

fn after_commit_name(commit: Commit) -> String {
    format!("order.{}.after_commit", commit.name())
}

fn before_call_name(call: Call) -> String {
    format!("order.{}.before_call", call.name())
}

fn after_call_name(call: Call) -> String {
    format!("order.{}.after_call", call.name())
}

/// The transaction's statements are done, and it is not committed.
pub(crate) fn before_commit(commit: Commit) {
    hit(|| before_commit_name(commit));
}

/// The transaction is committed, and nobody knows yet.
pub(crate) fn after_commit(commit: Commit) {
    hit(|| after_commit_name(commit));
}

/// The call is about to be made.
pub(crate) fn before_call(call: Call) {
    hit(|| before_call_name(call));
}

/// The call was answered, and nothing came of it yet.
pub(crate) fn after_call(call: Call) {
    hit(|| after_call_name(call));
}

#[cfg(feature = "failpoints")]
fn hit(name: impl FnOnce() -> String) {
    let name = name();
    fail::fail_point!(&name);
}

#[cfg(not(feature = "failpoints"))]
fn hit(_name: impl FnOnce() -> String) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_a_failpoint_on_both_sides_of_its_call_and_its_commit() {
        let names = failpoints();
        for step in Step::ALL {
            for place in ["before_call", "after_call", "before_commit", "after_commit"] {
                assert!(names.contains(&format!("order.saga.{step}.{place}")), "{step} {place}");
            }
        }
    }

    #[test]
    fn no_name_stands_twice() {
        let mut names = failpoints();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
