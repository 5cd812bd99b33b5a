//! What a product, a category, its stock and a reservation are, and the rules they obey.
//!
//! Pure values: no transport, no storage, no clock of its own.

mod category;
mod listing;
mod product;
mod reservation;
mod search;
mod stock;
mod terms;

pub(crate) use category::{Category, CategoryChange, MAX_CATEGORIES, Misplaced, NewCategory, Tree};
pub(crate) use listing::{Filter, Position, RawFilter, Sort, SortKey};
pub(crate) use product::{NewProduct, Product, ProductChange, ProductStatus, RawChange, RawProduct, UNKNOWN_CATEGORY};
pub use reservation::State;
pub(crate) use reservation::{
    Conflict, Line, Lines, Move, MoveDecision, RefusalReason, RefusedLine, Reservation, ReserveDecision, ReservedLine,
    Transition, on_move, on_reserve,
};
pub(crate) use search::Words;
pub(crate) use shop_types::{Check, Invalid};
pub(crate) use stock::{Adjustment, AdjustmentError, AdjustmentRequest, Availability, Quantity, Stock};
pub(crate) use terms::{Attributes, Key, Slug};
