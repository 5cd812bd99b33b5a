//! Reservations: stock kept for an order. The order id is the key of everything, so every command can be repeated.
//!
//! [`on_reserve`] and [`on_move`] are the whole of what a command does in a state:
//!
//! | state     | Reserve                  | Commit            | Release           | Return      |
//! |-----------|--------------------------|-------------------|-------------------|-------------|
//! | none      | take: held or refused    | conflict          | → released (tombstone) | conflict |
//! | held      | same answer again        | → committed       | → released        | conflict    |
//! | committed | same answer again        | nothing           | conflict          | → returned  |
//! | released  | conflict                 | conflict          | nothing           | conflict    |
//! | refused   | same answer again        | conflict          | nothing           | conflict    |
//! | returned  | conflict                 | conflict          | conflict          | nothing     |
//!
//! "Nothing" is success without an effect. A Reserve with other lines than the first is refused wherever the table says
//! "same answer again". Released, refused and returned are final.
//!
//! What moves, per line of `n` pieces: taking moves `n` from available to reserved; a release moves them back. A commit
//! takes them out of stock (reserved and on hand fall by `n`): the goods belong to the order. A return brings them back
//! (on hand and available rise by `n`). So `on_hand = available + reserved` holds in every state, reserved is the sum of
//! the held lines, and every change of on hand, which only adjustments, commits and returns make, has a ledger row.

use std::{collections::BTreeMap, fmt};

use shop_types::{Money, Uuid};

use super::{Check, Invalid, Quantity};

/// Lines of a reservation at most: those of an order.
const MAX_LINES: usize = 100;

/// Where a reservation is; none at all is `Option::None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Stock is kept for the order.
    Held,
    /// The goods are the order's and out of stock.
    Committed,
    /// Nothing is kept, and nothing will be.
    Released,
    /// Not all lines could be had, so nothing was taken.
    Refused,
    /// The goods were committed and came back.
    Returned,
}

/// What happens to a reservation after it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Move {
    Commit,
    Release,
    Return,
}

/// What a Reserve does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReserveDecision {
    /// Take every line, or keep the refusal.
    Take,
    /// Answer as the first time, if the lines are the same.
    Replay,
    /// The state does not allow it.
    Refuse,
}

/// What a [`Move`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MoveDecision {
    /// Stock moves, and the state with it.
    Change(Transition),
    /// Remember that no Reserve may come any more: [`State::Released`] without lines.
    LeaveTombstone,
    /// It is so already.
    Nothing,
    /// The state does not allow it.
    Refuse,
}

/// A change of state in which stock moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transition {
    /// The goods leave the stock: held → committed.
    TakeOut,
    /// The held stock is available again: held → released.
    GiveBack,
    /// The goods are back in stock: committed → returned.
    PutBack,
}

impl Transition {
    pub(crate) const fn from(self) -> State {
        match self {
            Self::TakeOut | Self::GiveBack => State::Held,
            Self::PutBack => State::Committed,
        }
    }

    pub(crate) const fn to(self) -> State {
        match self {
            Self::TakeOut => State::Committed,
            Self::GiveBack => State::Released,
            Self::PutBack => State::Returned,
        }
    }
}

/// The first column of the matrix.
pub(crate) const fn on_reserve(state: Option<State>) -> ReserveDecision {
    match state {
        None => ReserveDecision::Take,
        Some(State::Held | State::Committed | State::Refused) => ReserveDecision::Replay,
        Some(State::Released | State::Returned) => ReserveDecision::Refuse,
    }
}

/// The other three columns.
pub(crate) const fn on_move(state: Option<State>, movement: Move) -> MoveDecision {
    match (state, movement) {
        (Some(State::Held), Move::Commit) => MoveDecision::Change(Transition::TakeOut),
        (Some(State::Held), Move::Release) => MoveDecision::Change(Transition::GiveBack),
        (Some(State::Committed), Move::Return) => MoveDecision::Change(Transition::PutBack),

        (None, Move::Release) => MoveDecision::LeaveTombstone,

        (Some(State::Committed), Move::Commit)
        | (Some(State::Released | State::Refused), Move::Release)
        | (Some(State::Returned), Move::Return) => MoveDecision::Nothing,

        (None | Some(State::Released | State::Refused), Move::Commit | Move::Return)
        | (Some(State::Held), Move::Return)
        | (Some(State::Committed), Move::Release)
        | (Some(State::Returned), Move::Commit | Move::Release) => MoveDecision::Refuse,
    }
}

/// Something that the reservation's state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) state: Option<State>,
    /// `None` for a Reserve.
    pub(crate) movement: Option<Move>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            None => "Nothing was reserved for the order",
            Some(State::Held) => "The order's reservation is not committed",
            Some(State::Committed) => "The order's reservation is committed",
            Some(State::Released) => "The order's reservation was released",
            Some(State::Refused) => "The order's reservation was refused",
            Some(State::Returned) => "The order's goods were returned",
        })?;
        f.write_str(match self.movement {
            None => ": it can't be made again.",
            Some(Move::Commit) => ": there is nothing to commit.",
            Some(Move::Release) => ": there is nothing to release; committed goods come back by a return.",
            Some(Move::Return) => ": there is nothing to return.",
        })
    }
}

impl std::error::Error for Conflict {}

/// What an order wants, merged per product and in product-id order: the order in which stock is taken, so that two
/// reservations never wait for each other in a circle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lines(BTreeMap<Uuid, Quantity>);

impl Lines {
    /// Checks and merges the lines of a request, and reports all that are wrong.
    pub(crate) fn parse<'a>(raw: impl ExactSizeIterator<Item = (&'a str, i64)>) -> Result<Self, Invalid> {
        if !(1..=MAX_LINES).contains(&raw.len()) {
            return Err(Invalid::field("/lines", format!("must have 1 to {MAX_LINES} entries")));
        }
        let mut check = Check::default();
        let mut merged = BTreeMap::new();
        for (index, (product_id, pieces)) in raw.enumerate() {
            let id = check
                .take(&format!("/lines/{index}/product_id"), Uuid::try_parse(product_id).map_err(|_| "must be a UUID"));
            let pointer = format!("/lines/{index}/quantity");
            let quantity = check.take(&pointer, Quantity::parse(pieces));
            let (Some(id), Some(quantity)) = (id, quantity) else { continue };
            let total = merged.get(&id).map_or(Ok(quantity), |present: &Quantity| present.plus(quantity));
            if let Some(total) = check.take(&pointer, total) {
                merged.insert(id, total);
            }
        }
        check.finish().map(|()| Self(merged))
    }

    /// What was stored.
    pub(crate) fn stored(lines: BTreeMap<Uuid, Quantity>) -> Self {
        Self(lines)
    }

    /// In product-id order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Line> {
        self.0.iter().map(|(&product_id, &quantity)| Line { product_id, quantity })
    }

    pub(crate) fn product_ids(&self) -> impl Iterator<Item = Uuid> {
        self.0.keys().copied()
    }
}

/// So many pieces of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) product_id: Uuid,
    pub(crate) quantity: Quantity,
}

/// A line that was reserved, with what it costs and is called since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReservedLine {
    pub(crate) line: Line,
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) unit_price: Money,
}

/// A line that could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RefusedLine {
    pub(crate) product_id: Uuid,
    pub(crate) reason: RefusalReason,
}

/// Why a line could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalReason {
    OutOfStock {
        /// What could have been had.
        available: i64,
    },
    /// Not in the catalogue, or archived.
    NotOrderable,
}

/// The answer to a Reserve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reservation {
    Reserved(Vec<ReservedLine>),
    /// The lines that could not be had; never empty.
    Refused(Vec<RefusedLine>),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the module's documentation, written a second time so that neither changes unseen.
    #[test]
    fn every_cell_of_the_matrix() {
        use MoveDecision::{Change, LeaveTombstone, Nothing, Refuse};
        use Transition::{GiveBack, PutBack, TakeOut};
        let table = [
            (None, ReserveDecision::Take, [Refuse, LeaveTombstone, Refuse]),
            (Some(State::Held), ReserveDecision::Replay, [Change(TakeOut), Change(GiveBack), Refuse]),
            (Some(State::Committed), ReserveDecision::Replay, [Nothing, Refuse, Change(PutBack)]),
            (Some(State::Released), ReserveDecision::Refuse, [Refuse, Nothing, Refuse]),
            (Some(State::Refused), ReserveDecision::Replay, [Refuse, Nothing, Refuse]),
            (Some(State::Returned), ReserveDecision::Refuse, [Refuse, Refuse, Nothing]),
        ];
        for (state, reserve, moves) in table {
            assert_eq!(on_reserve(state), reserve, "{state:?} × Reserve");
            for (movement, expected) in [Move::Commit, Move::Release, Move::Return].into_iter().zip(moves) {
                assert_eq!(on_move(state, movement), expected, "{state:?} × {movement:?}");
                if let Change(transition) = expected {
                    assert_eq!(state, Some(transition.from()));
                }
            }
        }
    }

    #[test]
    fn lines_are_merged_and_ordered_by_product() {
        let (a, b) = (Uuid::from_u128(1).to_string(), Uuid::from_u128(2).to_string());
        let lines = Lines::parse([(b.as_str(), 1), (a.as_str(), 2), (b.as_str(), 3)].into_iter()).unwrap();
        let merged: Vec<_> = lines.iter().map(|line| (line.product_id.as_u128(), line.quantity.pieces())).collect();
        assert_eq!(merged, [(1, 2), (2, 4)]);
    }

    #[test]
    fn every_wrong_line_is_reported() {
        let a = Uuid::from_u128(1).to_string();
        let lines = [("x", 1), (a.as_str(), 0), (a.as_str(), 1_000_000), (a.as_str(), 1)];
        let violations = Lines::parse(lines.into_iter()).unwrap_err().into_violations();
        let pointers: Vec<_> = violations.iter().map(|violation| violation.pointer.as_str()).collect();
        assert_eq!(pointers, ["/lines/0/product_id", "/lines/1/quantity", "/lines/3/quantity"]);
        assert!(Lines::parse([].into_iter()).is_err());
        assert!(Lines::parse(std::iter::repeat_n((a.as_str(), 1), 101)).is_err());
    }
}
