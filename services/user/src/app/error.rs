//! Why a use case was refused or failed.

use std::time::Duration;

use shop_auth::SignError;
use shop_storage::{StorageError, WriteError, page::InvalidCursor};

use super::hashing::HashError;
use crate::domain::Invalid;

/// Everything that keeps a use case from its result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the request is not valid")]
    Invalid(#[source] Invalid),
    #[error("the cursor does not belong to this listing")]
    InvalidCursor,
    /// Wrong e-mail, wrong password or a disabled account; which one is not told.
    #[error("the login failed")]
    LoginFailed,
    #[error("too many logins failed")]
    Throttled { retry_after: Duration },
    #[error("the refresh token is not valid")]
    InvalidRefreshToken,
    #[error("the current password is wrong")]
    WrongPassword,
    #[error("the e-mail is taken")]
    EmailTaken,
    /// No such user, or not the caller's to see.
    #[error("there is no such user")]
    UnknownUser,
    /// No such address, or another user's.
    #[error("there is no such address")]
    UnknownAddress,
    #[error("the user has as many addresses as one may have")]
    TooManyAddresses,
    #[error("it would leave the shop without an admin")]
    LastAdmin,
    /// More passwords are to be hashed, or streams to be fed, than the process takes on.
    #[error("the service is busy")]
    Overloaded,
    #[error("a password can't be hashed")]
    Hash(#[source] HashError),
    #[error("a token can't be made")]
    Token(#[source] SignError),
    #[error("the operating system gives no randomness")]
    Randomness,
    #[error("the store failed")]
    Storage(#[source] StorageError),
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<InvalidCursor> for Error {
    fn from(_: InvalidCursor) -> Self {
        Self::InvalidCursor
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl WriteError for Error {
    fn storage(&self) -> Option<&StorageError> {
        if let Self::Storage(error) = self { Some(error) } else { None }
    }
}
