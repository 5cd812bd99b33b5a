//! Why a use case was refused or failed.

use shop_storage::{StorageError, WriteError, page::InvalidCursor};

use crate::domain::{Conflict, Invalid, Stock};

/// Everything that keeps a use case from its result.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Error {
    #[error("the request is not valid")]
    Invalid(#[source] Invalid),
    #[error("the cursor does not belong to this listing")]
    InvalidCursor,
    /// Archived products are listed to staff only.
    #[error("only staff may list archived products")]
    ArchivedForStaff,
    #[error("there is no such product")]
    UnknownProduct,
    #[error("the SKU is taken")]
    SkuTaken,
    #[error("the slug is, or was, another product's")]
    SlugTaken,
    #[error("there is no such category")]
    UnknownCategory,
    #[error("the slug is another category's")]
    CategorySlugTaken,
    #[error("there are as many categories as there can be")]
    TooManyCategories,
    #[error("the category has categories below it or products in it")]
    CategoryNotEmpty,
    #[error("it has version {present} by now")]
    StaleVersion { present: i64 },
    #[error("the key was used for another adjustment of the product")]
    KeyReused,
    #[error("more would be taken away than is available")]
    InsufficientStock(Stock),
    #[error("the order was reserved with other lines")]
    LinesDiffer,
    #[error("the reservation's state does not allow it")]
    Conflict(#[source] Conflict),
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

impl From<Conflict> for Error {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict(conflict)
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
