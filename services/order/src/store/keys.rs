//! Idempotency keys: which order a user's key made, and what the request looked like.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, ConnectionTrait, DbBackend, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
    sea_query::{ExprTrait as _, SimpleExpr},
};
use shop_storage::{StorageError, clock, insert_new};
use shop_types::{Instant, Uuid};

use super::entity::key;
use crate::domain::IdempotencyKey;

/// How long a key is remembered: a client that tries longer than a day has given up.
pub(crate) const KEPT: Duration = Duration::from_hours(24);

/// SHA-256 of the request that used a key.
pub(crate) type BodyHash = [u8; 32];

/// A key that was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsedKey {
    pub(crate) order_id: Uuid,
    pub(crate) body_hash: Vec<u8>,
}

/// Micros since the epoch before which keys are forgotten, as SQL.
fn horizon(backend: DbBackend) -> SimpleExpr {
    clock::now_plus_micros(backend, -i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX))
}

/// What a user's key was used for, within [`KEPT`].
pub(crate) async fn find(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    key: &IdempotencyKey,
) -> Result<Option<UsedKey>, StorageError> {
    let row = key::Entity::find_by_id((user_id, key.as_str().to_owned()))
        .filter(key::Column::CreatedAt.into_expr().gt(horizon(connection.get_database_backend())))
        .one(connection)
        .await?;
    Ok(row.map(|row| UsedKey { order_id: row.order_id, body_hash: row.body_hash }))
}

/// Keeps a key; false when it is in use, or is forgotten and was not dropped yet.
pub(crate) async fn insert(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    key: &IdempotencyKey,
    used: &UsedKey,
    now: Instant,
) -> Result<bool, StorageError> {
    let row = key::ActiveModel {
        user_id: Set(user_id),
        idempotency_key: Set(key.as_str().to_owned()),
        body_hash: Set(used.body_hash.clone()),
        order_id: Set(used.order_id),
        created_at: Set(now.as_micros()),
    };
    insert_new(connection, key::Entity::insert(row)).await
}

/// At most `limit` keys that are to be forgotten, the oldest first.
pub(crate) async fn forgotten(
    connection: &impl ConnectionTrait,
    limit: u64,
) -> Result<Vec<(Uuid, String)>, StorageError> {
    let keys = key::Entity::find()
        .select_only()
        .column(key::Column::UserId)
        .column(key::Column::IdempotencyKey)
        .filter(key::Column::CreatedAt.into_expr().lte(horizon(connection.get_database_backend())))
        .order_by_asc(key::Column::CreatedAt)
        .limit(limit)
        .into_tuple()
        .all(connection)
        .await?;
    Ok(keys)
}

/// Drops these keys, unless they were used anew.
pub(crate) async fn drop_keys(connection: &impl ConnectionTrait, keys: &[(Uuid, String)]) -> Result<(), StorageError> {
    let these = keys.iter().fold(Condition::any(), |any, (user_id, key)| {
        any.add(key::Column::UserId.eq(*user_id).and(key::Column::IdempotencyKey.eq(key.as_str())))
    });
    key::Entity::delete_many()
        .filter(these)
        .filter(key::Column::CreatedAt.into_expr().lte(horizon(connection.get_database_backend())))
        .exec(connection)
        .await?;
    Ok(())
}
