//! Reads a product database and says where it does not add up. It changes nothing and may run beside a serving process,
//! on a connection of [`shop_storage::open_reader`].
//!
//! Whether reservations fit the orders they were made for is for a reader of both databases to say: [`reservations`]
//! lists them for that, a page at a time.

use sea_orm::{ConnectionTrait, DatabaseConnection};
use shop_storage::StorageError;
use shop_types::{Instant, Uuid};

pub use crate::domain::State as ReservationState;
use crate::store;

/// Findings of one kind that are kept: a reader wants to know that there are many, not all of them.
const MAX_FINDINGS: u64 = 100;
/// Reservations of a page of [`reservations`] at most, so that one fits in memory and in one statement's parameters.
pub const MAX_PAGE: u64 = 500;

/// Where the stock does not add up; each kind is cut off at a hundred.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Stock rows that contradict themselves, their ledger or what is held.
    pub stock: Vec<StockFinding>,
    /// Reservation lines that contradict the ledger.
    pub ledger: Vec<LedgerFinding>,
}

impl Findings {
    /// Whether everything adds up.
    pub fn is_clean(&self) -> bool {
        self.stock.is_empty() && self.ledger.is_empty()
    }
}

/// A stock row that breaks `on_hand = available + reserved`, `on_hand = ledger` or `reserved = held`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockFinding {
    /// Whose stock.
    pub product_id: Uuid,
    /// Pieces in the warehouse, as the row has it.
    pub on_hand: i64,
    /// Pieces that can be ordered, as the row has it.
    pub available: i64,
    /// Pieces held for orders, as the row has it.
    pub reserved: i64,
    /// The sum of the ledger.
    pub ledger: i64,
    /// The sum of the lines of held reservations.
    pub held: i64,
}

/// A line of a reservation whose ledger rows do not fit its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerFinding {
    /// Whose reservation.
    pub order_id: Uuid,
    /// The line.
    pub product_id: Uuid,
    /// The reservation's state.
    pub state: ReservationState,
    /// What the state says the line changed of the stock on hand.
    pub expected: i64,
    /// What the ledger says.
    pub found: i64,
}

/// A reservation, for comparison with its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservationRecord {
    /// Whose reservation.
    pub order_id: Uuid,
    /// Where it is.
    pub state: ReservationState,
    /// Product and pieces, by product id; empty for a tombstone.
    pub lines: Vec<(Uuid, i64)>,
    /// When the net for orphans may release it; none for a tombstone.
    pub hold_until: Option<Instant>,
    /// When it came into its state.
    pub changed_at: Instant,
}

/// Looks for stock that does not add up.
pub async fn check(connection: &impl ConnectionTrait) -> Result<Findings, StorageError> {
    Ok(Findings {
        stock: store::audit::stock(connection, MAX_FINDINGS).await?,
        ledger: store::audit::ledger(connection, MAX_FINDINGS).await?,
    })
}

/// At most [`MAX_PAGE`] reservations after an order id, in order-id order. A page shorter than `limit` is the last.
pub async fn reservations(
    connection: &DatabaseConnection,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<ReservationRecord>, StorageError> {
    store::audit::reservations(connection, after, limit.min(MAX_PAGE)).await
}
