//! What a product, its stock and a reservation are, and the rules they obey.
//!
//! Pure values: no transport, no storage, no clock of its own.

mod invalid;
mod listing;
mod product;
mod reservation;
mod stock;
mod terms;

pub(crate) use invalid::{Check, Invalid};
pub(crate) use listing::{Filter, Position, Sort, SortKey};
pub(crate) use product::{NewProduct, Product, ProductChange, ProductStatus, RawChange, RawProduct};
pub use reservation::State;
pub(crate) use reservation::{
    Conflict, Line, Lines, Move, MoveDecision, RefusalReason, RefusedLine, Reservation, ReserveDecision, ReservedLine,
    Transition, on_move, on_reserve,
};
pub(crate) use stock::{Adjustment, AdjustmentError, AdjustmentRequest, Availability, Quantity, Stock};
pub(crate) use terms::{Attributes, Slug};
