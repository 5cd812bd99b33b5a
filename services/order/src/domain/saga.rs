//! The order saga as data: what each step calls, and what each outcome leads to. [`PLAN`] is the whole of it.
//!
//! A saga is at rest, or has one step outstanding. An outcome is written together with the change of the order's state and
//! the next step, in one transaction; a step whose call fails stays outstanding and is tried again for ever. Every call is
//! safe to repeat, so a process may die at any instruction.

use std::fmt;

use super::{Event, Reason, Status};

/// Something the saga has to do elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// May the user order?
    ValidateUser,
    /// Hold stock, and learn prices.
    Reserve,
    /// The order is paid: the held goods are its own.
    Commit,
    /// Give held stock back; before anything was held, forbid that it ever is.
    Release,
    /// Bring committed goods back into stock.
    Return,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// Somebody cancelled the order while it was pending. Counts more than what the step itself came to.
    CancelRequested,
    UserGood,
    /// Disabled or deleted.
    UserRefused,
    StockHeld,
    /// Stock is held, and the order's total is beyond what can be paid.
    TotalTooLarge,
    OutOfStock,
    /// A product is unknown or archived.
    NotOrderable,
    /// The reservation can't be made, or can't be committed, any more: product's net for orphans released it.
    ReservationLapsed,
    GoodsCommitted,
    /// The goods are committed and the order was cancelled meanwhile.
    CommittedForNothing,
    /// The reservation lapsed and the order was cancelled meanwhile.
    LapsedForNothing,
    StockReleased,
    /// There is nothing held, but goods are committed.
    FoundCommitted,
    GoodsReturned,
    /// There is nothing committed, but stock may be held.
    FoundUncommitted,
}

impl Outcome {
    /// The name in metrics and documents.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::CancelRequested => "cancel_requested",
            Self::UserGood => "user_good",
            Self::UserRefused => "user_refused",
            Self::StockHeld => "stock_held",
            Self::TotalTooLarge => "total_too_large",
            Self::OutOfStock => "out_of_stock",
            Self::NotOrderable => "not_orderable",
            Self::ReservationLapsed => "reservation_lapsed",
            Self::GoodsCommitted => "goods_committed",
            Self::CommittedForNothing => "committed_for_nothing",
            Self::LapsedForNothing => "lapsed_for_nothing",
            Self::StockReleased => "stock_released",
            Self::FoundCommitted => "found_committed",
            Self::GoodsReturned => "goods_returned",
            Self::FoundUncommitted => "found_uncommitted",
        }
    }
}

/// How an outcome moves the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Not at all.
    None,
    /// Stock and prices are the order's until it expires.
    Reserve,
    /// It can't be had.
    Reject(Reason),
    /// As the canceller asked.
    CancelAsAsked,
    /// Paid without stock: called off by the shop, and all that was paid is due back.
    CancelForWantOfStock,
}

/// One row of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) step: Step,
    pub(crate) outcome: Outcome,
    pub(crate) effect: Effect,
    /// The next step; `None` is rest.
    pub(crate) next: Option<Step>,
}

/// Every outcome of every step. The saga of a new order begins with [`Step::FIRST`], later ones as [`BEGINNINGS`] says.
pub(crate) const PLAN: &[Row] = &[
    row(Step::ValidateUser, Outcome::UserGood, Effect::None, Some(Step::Reserve)),
    row(Step::ValidateUser, Outcome::UserRefused, Effect::Reject(Reason::UserNotAllowed), None),
    // Reserve was never called: there is nothing to release.
    row(Step::ValidateUser, Outcome::CancelRequested, Effect::CancelAsAsked, None),
    row(Step::Reserve, Outcome::StockHeld, Effect::Reserve, None),
    row(Step::Reserve, Outcome::TotalTooLarge, Effect::Reject(Reason::TotalTooLarge), Some(Step::Release)),
    row(Step::Reserve, Outcome::OutOfStock, Effect::Reject(Reason::OutOfStock), None),
    row(Step::Reserve, Outcome::NotOrderable, Effect::Reject(Reason::ProductNotOrderable), None),
    row(Step::Reserve, Outcome::ReservationLapsed, Effect::Reject(Reason::OutOfStock), None),
    // A Reserve may have been called, or be on its way: the tombstone of the Release refuses it.
    row(Step::Reserve, Outcome::CancelRequested, Effect::CancelAsAsked, Some(Step::Release)),
    row(Step::Commit, Outcome::GoodsCommitted, Effect::None, None),
    row(Step::Commit, Outcome::CommittedForNothing, Effect::None, Some(Step::Return)),
    row(Step::Commit, Outcome::ReservationLapsed, Effect::CancelForWantOfStock, None),
    row(Step::Commit, Outcome::LapsedForNothing, Effect::None, None),
    row(Step::Release, Outcome::StockReleased, Effect::None, None),
    // Neither of the next two can happen while product keeps its matrix; either way the goods end up in stock.
    row(Step::Release, Outcome::FoundCommitted, Effect::None, Some(Step::Return)),
    row(Step::Return, Outcome::GoodsReturned, Effect::None, None),
    row(Step::Return, Outcome::FoundUncommitted, Effect::None, Some(Step::Release)),
];

/// What begins a step for an order whose saga is at rest: an event in a state. A refund begins its step only when the goods
/// come back with it.
pub(crate) const BEGINNINGS: &[Beginning] = &[
    beginning(Status::Reserved, Event::Pay, Step::Commit),
    beginning(Status::Reserved, Event::Cancel, Step::Release),
    beginning(Status::Reserved, Event::Expire, Step::Release),
    beginning(Status::Paid, Event::Cancel, Step::Return),
    beginning(Status::Shipped, Event::Refund, Step::Return),
    beginning(Status::Delivered, Event::Refund, Step::Return),
];

/// One row of [`BEGINNINGS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beginning {
    pub(crate) from: Status,
    pub(crate) event: Event,
    pub(crate) step: Step,
}

const fn beginning(from: Status, event: Event, step: Step) -> Beginning {
    Beginning { from, event, step }
}

/// The step that an event in a state begins.
pub(crate) fn beginning_of(from: Status, event: Event) -> Option<Step> {
    BEGINNINGS.iter().find(|beginning| beginning.from == from && beginning.event == event).map(|found| found.step)
}

const fn row(step: Step, outcome: Outcome, effect: Effect, next: Option<Step>) -> Row {
    Row { step, outcome, effect, next }
}

/// The row of an outcome; `None` if the step has no such outcome.
pub(crate) fn plan(step: Step, outcome: Outcome) -> Option<&'static Row> {
    PLAN.iter().find(|row| row.step == step && row.outcome == outcome)
}

impl Step {
    /// What the saga of a new order begins with.
    pub(crate) const FIRST: Self = Self::ValidateUser;

    /// Every step.
    pub const ALL: &[Self] = &[Self::ValidateUser, Self::Reserve, Self::Commit, Self::Release, Self::Return];

    /// The name in databases, metrics and failpoints.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ValidateUser => "validate_user",
            Self::Reserve => "reserve",
            Self::Commit => "commit",
            Self::Release => "release",
            Self::Return => "return",
        }
    }

    /// The call it makes.
    pub(crate) const fn calls(self) -> &'static str {
        match self {
            Self::ValidateUser => "user.ValidateUser",
            Self::Reserve => "product.Reserve",
            Self::Commit => "product.Commit",
            Self::Release => "product.Release",
            Self::Return => "product.Return",
        }
    }

    /// The step of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|step| step.as_str() == name)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EDGES;

    fn event_of(effect: Effect) -> Option<Event> {
        match effect {
            Effect::None => None,
            Effect::Reserve => Some(Event::Reserve),
            Effect::Reject(_) => Some(Event::Reject),
            Effect::CancelAsAsked | Effect::CancelForWantOfStock => Some(Event::Cancel),
        }
    }

    /// States in which a step can be outstanding, from how it came to be.
    fn states_of(step: Step) -> &'static [Status] {
        match step {
            Step::ValidateUser | Step::Reserve => &[Status::Pending],
            Step::Commit => &[Status::Paid, Status::Cancelled],
            Step::Release => &[Status::Rejected, Status::Cancelled, Status::Expired],
            Step::Return => &[Status::Cancelled, Status::Refunded],
        }
    }

    #[test]
    fn no_outcome_of_a_step_stands_twice() {
        for (index, row) in PLAN.iter().enumerate() {
            assert!(
                !PLAN[..index].iter().any(|other| (other.step, other.outcome) == (row.step, row.outcome)),
                "{row:?}"
            );
        }
    }

    #[test]
    fn every_effect_has_an_edge_from_a_state_of_its_step() {
        for row in PLAN {
            let Some(event) = event_of(row.effect) else { continue };
            let edge = EDGES.iter().find(|edge| edge.event == event && states_of(row.step).contains(&edge.from));
            let edge = edge.unwrap_or_else(|| panic!("{row:?} has no edge"));
            if let Some(next) = row.next {
                assert!(states_of(next).contains(&edge.to), "{row:?} leaves {next} outstanding in {}", edge.to);
            }
        }
    }

    #[test]
    fn a_pending_order_has_a_step_or_gets_settled() {
        for row in PLAN.iter().filter(|row| states_of(row.step) == [Status::Pending]) {
            let stays_pending = row.effect == Effect::None;
            assert_eq!(stays_pending, row.next.is_some_and(|next| states_of(next) == [Status::Pending]), "{row:?}");
        }
    }

    #[test]
    fn every_beginning_is_an_edge_to_a_state_of_its_step() {
        for beginning in BEGINNINGS {
            let to = beginning.from.after(beginning.event).unwrap();
            assert!(states_of(beginning.step).contains(&to), "{beginning:?}");
        }
        assert_eq!(beginning_of(Status::Paid, Event::Ship), None);
    }

    #[test]
    fn every_step_has_rows_and_reads_back() {
        for &step in Step::ALL {
            assert!(PLAN.iter().any(|row| row.step == step), "{step}");
            assert_eq!(Step::parse(step.as_str()), Some(step));
        }
    }
}
