//! The states of an order and every way from one to another: [`EDGES`].
//!
//! The table drives the code ([`Status::after`] is the only source of a new status), the test of every pair and the
//! diagram in `docs/order-states.md`.

use std::fmt;

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Placed; its saga has not settled it yet.
    Pending,
    /// Stock is held for it until it is paid for or expires.
    Reserved,
    /// It could not be had.
    Rejected,
    /// Paid in full.
    Paid,
    /// On its way.
    Shipped,
    /// Arrived.
    Delivered,
    /// Called off before it was shipped.
    Cancelled,
    /// Not paid in time.
    Expired,
    /// Its total was given back after it was shipped.
    Refunded,
}

/// What moves an order from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    Reserve,
    Reject,
    Cancel,
    Pay,
    Expire,
    Ship,
    Deliver,
    Refund,
}

/// One way from a state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) from: Status,
    pub(crate) event: Event,
    pub(crate) to: Status,
}

/// Every edge. A pair of state and event that is not here is refused.
pub(crate) const EDGES: &[Edge] = &[
    edge(Status::Pending, Event::Reserve, Status::Reserved),
    edge(Status::Pending, Event::Reject, Status::Rejected),
    edge(Status::Pending, Event::Cancel, Status::Cancelled),
    edge(Status::Reserved, Event::Pay, Status::Paid),
    edge(Status::Reserved, Event::Cancel, Status::Cancelled),
    edge(Status::Reserved, Event::Expire, Status::Expired),
    edge(Status::Paid, Event::Ship, Status::Shipped),
    edge(Status::Paid, Event::Cancel, Status::Cancelled),
    edge(Status::Shipped, Event::Deliver, Status::Delivered),
    edge(Status::Shipped, Event::Refund, Status::Refunded),
    edge(Status::Delivered, Event::Refund, Status::Refunded),
];

const fn edge(from: Status, event: Event, to: Status) -> Edge {
    Edge { from, event, to }
}

/// The present state does not allow what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The order is {from}; it can't be {}.", .event.done())]
pub(crate) struct WrongState {
    pub(crate) from: Status,
    pub(crate) event: Event,
}

impl Status {
    /// Every state, in the order of an order's life.
    pub const ALL: &[Self] = &[
        Self::Pending,
        Self::Reserved,
        Self::Rejected,
        Self::Paid,
        Self::Shipped,
        Self::Delivered,
        Self::Cancelled,
        Self::Expired,
        Self::Refunded,
    ];

    /// The state after `event`, if [`EDGES`] has a way.
    pub(crate) fn after(self, event: Event) -> Result<Self, WrongState> {
        EDGES
            .iter()
            .find(|edge| edge.from == self && edge.event == event)
            .map(|edge| edge.to)
            .ok_or(WrongState { from: self, event })
    }

    /// Whether the shop owes the goods for the money: paid and not given back.
    pub(crate) const fn keeps_payment(self) -> bool {
        matches!(self, Self::Paid | Self::Shipped | Self::Delivered)
    }

    /// Whether [`EDGES`] has no way out.
    pub(crate) fn is_final(self) -> bool {
        EDGES.iter().all(|edge| edge.from != self)
    }

    /// The name in databases, JSON and sentences.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Reserved => "reserved",
            Self::Rejected => "rejected",
            Self::Paid => "paid",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Refunded => "refunded",
        }
    }

    /// The state of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.as_str() == name)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Event {
    /// Every event.
    #[cfg(test)]
    pub(crate) const ALL: &[Self] =
        &[Self::Reserve, Self::Reject, Self::Cancel, Self::Pay, Self::Expire, Self::Ship, Self::Deliver, Self::Refund];

    /// The verb.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Reject => "reject",
            Self::Cancel => "cancel",
            Self::Pay => "pay",
            Self::Expire => "expire",
            Self::Ship => "ship",
            Self::Deliver => "deliver",
            Self::Refund => "refund",
        }
    }

    /// The participle: "it can't be …".
    pub(crate) const fn done(self) -> &'static str {
        match self {
            Self::Reserve => "reserved",
            Self::Reject => "rejected",
            Self::Cancel => "cancelled",
            Self::Pay => "paid for",
            Self::Expire => "expired",
            Self::Ship => "shipped",
            Self::Deliver => "delivered",
            Self::Refund => "refunded",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written a second time, so that neither the table nor the test changes unseen.
    fn expected(from: Status, event: Event) -> Option<Status> {
        use {Event as E, Status as S};
        match (from, event) {
            (S::Pending, E::Reserve) => Some(S::Reserved),
            (S::Pending, E::Reject) => Some(S::Rejected),
            (S::Pending | S::Reserved | S::Paid, E::Cancel) => Some(S::Cancelled),
            (S::Reserved, E::Pay) => Some(S::Paid),
            (S::Reserved, E::Expire) => Some(S::Expired),
            (S::Paid, E::Ship) => Some(S::Shipped),
            (S::Shipped, E::Deliver) => Some(S::Delivered),
            (S::Shipped | S::Delivered, E::Refund) => Some(S::Refunded),
            _ => None,
        }
    }

    #[test]
    fn every_pair_of_state_and_event() {
        for &from in Status::ALL {
            for &event in Event::ALL {
                assert_eq!(from.after(event).ok(), expected(from, event), "{from} × {event:?}");
            }
        }
        assert_eq!(EDGES.len(), 11);
    }

    #[test]
    fn four_states_are_final() {
        let over: Vec<_> = Status::ALL.iter().copied().filter(|status| status.is_final()).collect();
        assert_eq!(over, [Status::Rejected, Status::Cancelled, Status::Expired, Status::Refunded]);
    }

    #[test]
    fn every_pair_of_states_has_at_most_one_edge() {
        for &from in Status::ALL {
            for &to in Status::ALL {
                let ways = EDGES.iter().filter(|edge| edge.from == from && edge.to == to).count();
                assert!(ways <= 1, "{from} → {to}");
            }
        }
    }

    #[test]
    fn a_refusal_names_the_present_state() {
        let refused = Status::Shipped.after(Event::Cancel).unwrap_err();
        assert_eq!(refused.to_string(), "The order is shipped; it can't be cancelled.");
    }

    #[test]
    fn names_read_back() {
        for &status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        assert_eq!(Status::parse("lost"), None);
    }
}
