//! Entities and queries of user's database. Every function runs on a connection or transaction that the caller has.

pub(crate) mod addresses;
mod entity;
pub(crate) mod logins;
pub(crate) mod revocations;
pub(crate) mod sessions;
pub(crate) mod users;

use sea_orm::DbErr;
use shop_storage::StorageError;

/// Whether a row was added, or its key is taken.
fn inserted(result: Result<u64, DbErr>) -> Result<bool, StorageError> {
    match result.map_err(StorageError::from) {
        Ok(_) => Ok(true),
        Err(error) if error.is_unique_violation() => Ok(false),
        Err(error) => Err(error),
    }
}
