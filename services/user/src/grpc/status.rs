//! The one map from what a use case says to what goes over the wire. A failure of ours is logged here, once.

use std::time::Duration;

use shop_proto::status::{Reason, Refusal, Violation};
use shop_storage::StorageError;
use tonic::Status;

use crate::{app::Error, domain::Invalid};

/// When a database that is busy or away, or a server that hashes all it can, is worth another try.
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
        Error::LoginFailed => Refusal::new(Reason::LoginFailed, "The e-mail or the password is wrong."),
        Error::Throttled { retry_after } => {
            let detail = format!("Too many logins failed. Try again in {} s.", retry_after.as_secs());
            Refusal::new(Reason::LoginThrottled, detail).with_retry_after(retry_after)
        }
        Error::InvalidRefreshToken => {
            Refusal::new(Reason::InvalidRefreshToken, "The refresh token is not valid, or no longer; sign in again.")
        }
        Error::WrongPassword => Refusal::new(Reason::WrongPassword, "The current password is wrong."),
        Error::EmailTaken => Refusal::new(Reason::EmailTaken, "Another account has this e-mail.")
            .with_violation("/email", "is another account's"),
        Error::UnknownUser => Refusal::new(Reason::NotFound, "There is no such user."),
        Error::UnknownAddress => Refusal::new(Reason::NotFound, "There is no such address."),
        Error::TooManyAddresses => {
            Refusal::new(Reason::StateConflict, "You have as many addresses as one may have; delete one first.")
        }
        Error::LastAdmin => Refusal::new(Reason::LastAdmin, "Make somebody else an admin first."),
        Error::Overloaded => {
            Refusal::new(Reason::Overloaded, "The server is busy; try again shortly.").with_retry_after(RETRY_AFTER)
        }
        Error::Storage(error) => storage_failure(&error),
        error @ (Error::Hash(_) | Error::Token(_) | Error::Randomness) => {
            tracing::error!(error = &error as &dyn std::error::Error, "A call failed.");
            internal()
        }
    }
}

fn violations(invalid: Invalid) -> Vec<Violation> {
    let violations = invalid.into_violations().into_iter();
    violations.map(|violation| Violation { pointer: violation.pointer, detail: violation.detail }).collect()
}

fn storage_failure(error: &StorageError) -> Refusal {
    let chain = error as &dyn std::error::Error;
    if error.is_transient() {
        tracing::warn!(error = chain, "The database can't be used at the moment.");
        Refusal::new(Reason::Unavailable, "Accounts can't be reached at the moment.").with_retry_after(RETRY_AFTER)
    } else {
        tracing::error!(error = chain, "The database failed.");
        internal()
    }
}

fn internal() -> Refusal {
    Refusal::new(Reason::Internal, "Something went wrong on our side.")
}
