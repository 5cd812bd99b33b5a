//! Values that more than one service speaks of: money, postal addresses, instants, durations, ids, the shop's settings.
//! Each is valid by construction, and what is not says which rules it breaks ([`Check`], [`Invalid`]).
//!
//! No transport, storage or framework type lives here; a type that only one service needs stays in that service.

mod address;
mod currency;
mod duration;
mod instant;
mod invalid;
mod money;
pub mod settings;
mod text;

pub use address::{AddressError, PostalAddress, RawAddress};
pub use currency::{Currency, UnknownCurrency};
pub use duration::{format_duration, parse_duration, parse_payment_timeout};
pub use instant::Instant;
pub use invalid::{Check, Invalid, Violation};
pub use money::{Money, MoneyError};
pub use text::{Text, TextError};
pub use uuid::Uuid;

/// A new id: UUIDv7 (RFC 9562), so that ids sort by the time they were made.
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}
