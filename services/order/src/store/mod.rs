//! Entities and queries of order's database. Every function runs on a connection or transaction that the caller has.

pub(crate) mod audit;
#[cfg(test)]
mod engines;
mod entity;
pub(crate) mod keys;
pub(crate) mod listing;
pub(crate) mod money;
pub(crate) mod orders;
pub(crate) mod outbox;
pub(crate) mod revise;
mod rows;
pub(crate) mod sagas;

use sea_orm::DbErr;
use shop_storage::StorageError;

/// A row that this code can't have written.
fn corrupt(what: &str, value: &str) -> StorageError {
    StorageError::from(DbErr::Type(format!("stored {what}: {value:?}")))
}
