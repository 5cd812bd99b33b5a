//! The one map from what a use case says to what goes over the wire. A failure of ours is logged here, once.

use std::time::Duration;

use shop_proto::status::{Reason, Refusal, Violation};
use shop_storage::StorageError;
use tonic::Status;

use crate::{
    app::Error,
    domain::{Invalid, MAX_CATEGORIES},
};

/// When a database that is busy or away is worth another try.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The answer to a call that did not succeed.
pub(super) fn status(error: impl Into<Error>) -> Status {
    refusal(error.into()).into()
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Invalid(invalid) => Refusal::invalid(violations(invalid)),
        Error::InvalidCursor => {
            Refusal::new(Reason::InvalidCursor, "Begin again without a cursor, or use the one of this very listing.")
                .with_violation("cursor", "does not belong to this listing")
        }
        Error::ArchivedForStaff => Refusal::new(Reason::Forbidden, "Only staff may list archived products."),
        Error::UnknownProduct => Refusal::new(Reason::NotFound, "There is no such product."),
        Error::SkuTaken => Refusal::new(Reason::SkuTaken, "Another product has this SKU.")
            .with_violation("/sku", "is another product's"),
        Error::SlugTaken => Refusal::new(Reason::SlugTaken, "Another product has, or had, this slug.")
            .with_violation("/slug", "is, or was, another product's"),
        Error::UnknownCategory => Refusal::new(Reason::NotFound, "There is no such category."),
        Error::CategorySlugTaken => Refusal::new(Reason::SlugTaken, "Another category has this slug.")
            .with_violation("/slug", "is another category's"),
        Error::TooManyCategories => Refusal::new(
            Reason::StateConflict,
            format!("There are {MAX_CATEGORIES} categories, which is as many as there can be."),
        ),
        Error::CategoryNotEmpty => Refusal::new(
            Reason::CategoryNotEmpty,
            "Other categories are below it, or products, perhaps archived ones, are in it. Move them first.",
        ),
        Error::StaleVersion { present } => {
            Refusal::new(Reason::StaleVersion, format!("It has version {present} by now."))
                .with_metadata("version", present.to_string())
        }
        Error::KeyReused => Refusal::new(
            Reason::IdempotencyKeyReused,
            "The key was used for another adjustment of this product. Take a new one.",
        ),
        Error::InsufficientStock(stock) => {
            let detail = format!(
                "{} are on hand and {} of them reserved: at most {} can be taken away.",
                stock.on_hand(),
                stock.reserved(),
                stock.available()
            );
            Refusal::new(Reason::InsufficientStock, detail).with_metadata("available", stock.available().to_string())
        }
        Error::LinesDiffer => {
            Refusal::new(Reason::IdempotencyKeyReused, "The order was reserved with other lines before.")
        }
        Error::Conflict(conflict) => Refusal::new(Reason::StateConflict, conflict.to_string()),
        Error::Storage(error) => failure(&error),
    }
}

fn violations(invalid: Invalid) -> Vec<Violation> {
    let violations = invalid.into_violations().into_iter();
    violations.map(|violation| Violation { pointer: violation.pointer, detail: violation.detail }).collect()
}

fn failure(error: &StorageError) -> Refusal {
    let chain = error as &dyn std::error::Error;
    if error.is_transient() {
        tracing::warn!(error = chain, "The database can't be used at the moment.");
        Refusal::new(Reason::Unavailable, "The catalogue can't be reached at the moment.").with_retry_after(RETRY_AFTER)
    } else {
        tracing::error!(error = chain, "The database failed.");
        Refusal::new(Reason::Internal, "Something went wrong on our side.")
    }
}
