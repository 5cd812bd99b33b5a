//! What an order is and the rules it obeys: states, saga, requests, money, notices.
//!
//! Pure values and tables: no transport, no storage, no clock of its own.

mod document;
mod event;
mod invalid;
mod listing;
mod money_back;
mod order;
mod request;
mod saga;
mod status;
mod webhook;

pub(crate) use document::document;
pub(crate) use event::{Change, event_data};
pub(crate) use invalid::{Invalid, Violation};
pub(crate) use listing::{Filter, Viewer};
pub(crate) use money_back::{MAX_AMOUNT, PaymentVerdict, RefundRefused, RefundVerdict, judge_payment, judge_refund};
pub(crate) use order::{
    Actor, HistoryEntry, Item, ItemAnswer, Line, LineRefusal, Order, Priced, Reason, ShippingAddress, total,
};
pub(crate) use request::{
    Destination, IdempotencyKey, NewOrder, RawDestination, Reference, parse_id, parse_note, reference_of_notice,
};
pub(crate) use saga::{BEGINNINGS, Effect, Outcome, PLAN, beginning_of, plan};
pub(crate) use status::{EDGES, Event, WrongState};
pub(crate) use webhook::{InvalidNotice, InvalidSignature, MAX_BODY, Notice, SigningKey, WebhookSecrets, parse_amount};

pub use saga::Step;
pub use status::Status;
