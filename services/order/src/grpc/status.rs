//! The one map from what went wrong to what the client is told.

use std::time::Duration;

use shop_proto::status::{Reason, Refusal};
use shop_types::{Money, Uuid};
use tonic::Status;

use crate::{
    app::{Error, Rejection},
    domain::{self, Invalid},
};

/// When a client should ask again for an order that is not settled, or after an outage.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The status of an error. What is our bug or an outage is logged here, once, and nothing of it crosses the wire.
pub(super) fn status(error: impl Into<Error>) -> Status {
    let error = error.into();
    let refusal = refusal(&error);
    let cause = &error as &dyn std::error::Error;
    match refusal.reason {
        Reason::Internal => tracing::error!(error = cause, "a request failed"),
        Reason::Unavailable => tracing::warn!(error = cause, "a request failed for now"),
        _ => {}
    }
    refusal.into()
}

fn refusal(error: &Error) -> Refusal {
    match error {
        Error::Invalid(invalid) => invalid_request(invalid),
        Error::MalformedNotice(detail) => {
            Refusal::new(Reason::MalformedRequest, format!("The notice can't be read: {detail}."))
        }
        Error::NoticeTooLarge { max } => {
            Refusal::new(Reason::BodyTooLarge, format!("A notice has at most {max} bytes."))
        }
        Error::InvalidSignature(_) => Refusal::new(
            Reason::InvalidSignature,
            "The signature does not fit the body, or is older than five minutes.",
        ),
        Error::InvalidCursor(_) => Refusal::new(Reason::InvalidCursor, "The cursor belongs to another listing."),
        Error::NoUser => Refusal::new(Reason::Unauthenticated, "Sign in first."),
        Error::UnknownOrder => Refusal::new(Reason::NotFound, "There is no such order."),
        Error::WrongState(refused) => Refusal::new(Reason::StateConflict, refused.to_string())
            .with_metadata("order_status", refused.from.as_str()),
        Error::Rejected(rejection) => rejected(rejection),
        Error::UserNotAllowed => Refusal::new(Reason::UserNotAllowed, "Your account may not order."),
        Error::KeyReused => Refusal::new(
            Reason::IdempotencyKeyReused,
            "The idempotency key was used for another request within the last day.",
        ),
        Error::ReferenceReused => {
            Refusal::new(Reason::ReferenceReused, "The reference was used for another amount or order.")
        }
        Error::AmountMismatch { expected } => amount_mismatch(*expected),
        Error::NothingPaid => Refusal::invalid_field("/amount/amount", "must be more than 0"),
        Error::DueTooLarge => Refusal::new(Reason::AmountMismatch, "What is owed back would be too large to count."),
        Error::Pending { order_id } => pending(*order_id),
        Error::Overloaded(what) => Refusal::new(Reason::Overloaded, format!("Too many {what}; try again shortly."))
            .with_retry_after(RETRY_AFTER),
        Error::Upstream(_) | Error::KeyTaken | Error::Raced | Error::Leaving => unavailable(),
        Error::Storage(error) if error.is_transient() => unavailable(),
        Error::Unplanned { .. } | Error::Missing(_) | Error::Storage(_) => {
            Refusal::new(Reason::Internal, "Something went wrong on our side.")
        }
    }
}

fn invalid_request(invalid: &Invalid) -> Refusal {
    Refusal::invalid(invalid.violations().iter().map(violation).collect())
}

fn violation(violation: &domain::Violation) -> shop_proto::status::Violation {
    shop_proto::status::Violation { pointer: violation.pointer.clone(), detail: violation.detail.clone() }
}

fn rejected(rejection: &Rejection) -> Refusal {
    let (reason, detail) = match rejection.order.reason {
        Some(domain::Reason::ProductNotOrderable) => {
            (Reason::ProductNotOrderable, "A product of the order is unknown or no longer sold.")
        }
        Some(domain::Reason::UserNotAllowed) => (Reason::UserNotAllowed, "Your account may not order."),
        Some(domain::Reason::TotalTooLarge) => (Reason::TotalTooLarge, "The order's total is too large to be paid."),
        // The others are no reasons of a rejection.
        _ => (Reason::OutOfStock, "A product of the order is not available in the quantity ordered."),
    };
    let refusal = Refusal::new(reason, detail).with_metadata("order_id", rejection.order.id.to_string());
    let refusal = if rejection.replayed { refusal.with_metadata("replayed", "true") } else { refusal };
    rejection
        .violations
        .iter()
        .fold(refusal, |refusal, line| refusal.with_violation(line.pointer.clone(), line.detail.clone()))
}

fn amount_mismatch(expected: Money) -> Refusal {
    Refusal::new(Reason::AmountMismatch, format!("Refunds are whole; to be given back is {expected}."))
        .with_metadata("expected_amount", expected.amount().to_string())
        .with_metadata("expected_currency", expected.currency().to_string())
}

fn pending(order_id: Uuid) -> Refusal {
    Refusal::new(Reason::OrderPending, "The order is not settled yet; ask again, with the same key if you placed it.")
        .with_metadata("order_id", order_id.to_string())
        .with_retry_after(RETRY_AFTER)
}

fn unavailable() -> Refusal {
    Refusal::new(Reason::Unavailable, "Part of the shop can't be reached; try again.").with_retry_after(RETRY_AFTER)
}
