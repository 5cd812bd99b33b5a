//! Failed logins, and the addresses that accounts sign in from.

use aws_lc_rs::digest::{SHA256, digest};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, ExprTrait as _, OnConflict},
};
use shop_storage::{StorageError, clock};
use shop_types::{Instant, Uuid};

use super::entity::{login_address as known, login_failure as failure, login_lock as lock};
use crate::domain::{ClientAddress, Failures, Limit, SPACING, WINDOW};

/// Makes those who count failures of the account, or from the address, do so one after the other until the transaction
/// ends. Each locks two rows of 256, the lower first. SQLite has one writer, and needs none.
pub(crate) async fn lock(
    connection: &impl ConnectionTrait,
    account_key: &[u8],
    address: &ClientAddress,
) -> Result<(), StorageError> {
    if connection.get_database_backend() == DbBackend::Sqlite {
        return Ok(());
    }
    let row_of = |digest: &[u8]| i32::from(digest.first().copied().unwrap_or_default());
    let rows = [row_of(account_key), row_of(digest(&SHA256, address.as_str().as_bytes()).as_ref())];
    let locked: Vec<i32> = lock::Entity::find()
        .select_only()
        .column(lock::Column::Id)
        .filter(lock::Column::Id.is_in(rows))
        .order_by_asc(lock::Column::Id)
        .lock_exclusive()
        .into_tuple()
        .all(connection)
        .await?;
    if locked.is_empty() {
        return Err(DbErr::RecordNotFound("the locks of the login throttle have no rows".to_owned()).into());
    }
    Ok(())
}

/// For each limit, whether it is reached at `now`.
pub(crate) async fn failures(
    connection: &impl ConnectionTrait,
    account_key: &[u8],
    address: &ClientAddress,
    now: Instant,
) -> Result<Failures, StorageError> {
    let of_account = failure::Column::AccountKey.eq(account_key);
    let of_address = failure::Column::Address.eq(address.as_str());
    let foreign = failure::Column::KnownAddress.eq(false);
    let pair = of_account.clone().and(of_address.clone());
    Ok(Failures {
        pair: reached(connection, Limit::Pair, pair, now).await?,
        address: reached(connection, Limit::Address, of_address, now).await?,
        account: reached(connection, Limit::Account, of_account.and(foreign), now).await?,
    })
}

/// When the failure happened that, counted back from the newest, reaches the limit.
async fn reached(
    connection: &impl ConnectionTrait,
    limit: Limit,
    which: sea_orm::sea_query::SimpleExpr,
    now: Instant,
) -> Result<Option<Instant>, StorageError> {
    let window = i64::try_from(WINDOW.as_micros()).unwrap_or(i64::MAX);
    let at: Option<i64> = failure::Entity::find()
        .select_only()
        .column(failure::Column::At)
        .filter(Condition::all().add(which).add(failure::Column::At.gt(now.as_micros().saturating_sub(window))))
        .order_by_desc(failure::Column::At)
        .offset(limit.failures() - 1)
        .limit(1)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(at.map(Instant::from_micros))
}

/// Counts a failure.
pub(crate) async fn add_failure(
    connection: &impl ConnectionTrait,
    id: Uuid,
    account_key: &[u8],
    address: &ClientAddress,
    known_address: bool,
    now: Instant,
) -> Result<(), StorageError> {
    let row = failure::ActiveModel {
        id: Set(id),
        account_key: Set(account_key.to_vec()),
        address: Set(address.as_str().to_owned()),
        known_address: Set(known_address),
        at: Set(now.as_micros()),
    };
    failure::Entity::insert(row).exec_without_returning(connection).await?;
    Ok(())
}

/// Takes a failure back that turned out to be none.
pub(crate) async fn remove_failure(connection: &impl ConnectionTrait, id: Uuid) -> Result<(), StorageError> {
    failure::Entity::delete_by_id(id).exec(connection).await?;
    Ok(())
}

/// Whether the account has signed in from there.
pub(crate) async fn is_known(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    address: &ClientAddress,
) -> Result<bool, StorageError> {
    let key = (user_id, address.as_str().to_owned());
    Ok(known::Entity::find_by_id(key).one(connection).await?.is_some())
}

/// Claims the turn of an attempt from a known address beyond the limits; false when the last one since a login was less
/// than [`SPACING`] ago. The database decides, by its clock, so that of many at once one is looked at.
pub(crate) async fn claim_turn(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    address: &ClientAddress,
) -> Result<bool, StorageError> {
    let backend = connection.get_database_backend();
    let spacing = i64::try_from(SPACING.as_micros()).unwrap_or(i64::MAX);
    let claimed = known::Entity::update_many()
        .col_expr(known::Column::LookedAt, clock::now(backend))
        .filter(known::Column::UserId.eq(user_id))
        .filter(known::Column::Address.eq(address.as_str()))
        .filter(Expr::col(known::Column::LookedAt).lte(clock::now_plus_micros(backend, -spacing)))
        .exec(connection)
        .await?;
    Ok(claimed.rows_affected == 1)
}

/// Remembers that the account signed in from there, and of the others the `keep` last used.
pub(crate) async fn remember(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    address: &ClientAddress,
    now: Instant,
    keep: u64,
) -> Result<(), StorageError> {
    let row = known::ActiveModel {
        user_id: Set(user_id),
        address: Set(address.as_str().to_owned()),
        last_used_at: Set(now.as_micros()),
        looked_at: Set(0),
    };
    let conflict = OnConflict::columns([known::Column::UserId, known::Column::Address])
        .update_columns([known::Column::LastUsedAt, known::Column::LookedAt])
        .to_owned();
    known::Entity::insert(row).on_conflict(conflict).exec_without_returning(connection).await?;
    let oldest_kept: Option<i64> = known::Entity::find()
        .select_only()
        .column(known::Column::LastUsedAt)
        .filter(known::Column::UserId.eq(user_id))
        .order_by_desc(known::Column::LastUsedAt)
        .offset(keep)
        .limit(1)
        .into_tuple()
        .one(connection)
        .await?;
    if let Some(oldest_kept) = oldest_kept {
        known::Entity::delete_many()
            .filter(known::Column::UserId.eq(user_id))
            .filter(known::Column::LastUsedAt.lte(oldest_kept))
            .exec(connection)
            .await?;
    }
    Ok(())
}

/// Forgets where a user signed in from.
pub(crate) async fn forget_addresses(connection: &impl ConnectionTrait, user_id: Uuid) -> Result<(), StorageError> {
    known::Entity::delete_many().filter(known::Column::UserId.eq(user_id)).exec(connection).await?;
    Ok(())
}

/// Forgets the failures of an account.
pub(crate) async fn forget_failures_of(
    connection: &impl ConnectionTrait,
    account_key: &[u8],
) -> Result<(), StorageError> {
    failure::Entity::delete_many().filter(failure::Column::AccountKey.eq(account_key)).exec(connection).await?;
    Ok(())
}

/// Deletes at most `limit` failures from before `before`; how many.
pub(crate) async fn forget_failures(
    connection: &impl ConnectionTrait,
    before: Instant,
    limit: u64,
) -> Result<u64, StorageError> {
    let old = failure::Entity::find().select_only().column(failure::Column::Id);
    let old = old.filter(failure::Column::At.lte(before.as_micros())).limit(limit);
    let ids: Vec<Uuid> = old.into_tuple().all(connection).await?;
    Ok(failure::Entity::delete_many().filter(failure::Column::Id.is_in(ids)).exec(connection).await?.rows_affected)
}

/// Deletes at most about `limit` addresses that were last used before `before`; how many.
pub(crate) async fn forget_unused_addresses(
    connection: &impl ConnectionTrait,
    before: Instant,
    limit: u64,
) -> Result<u64, StorageError> {
    let last: Option<i64> = known::Entity::find()
        .select_only()
        .column(known::Column::LastUsedAt)
        .filter(known::Column::LastUsedAt.lte(before.as_micros()))
        .order_by_asc(known::Column::LastUsedAt)
        .limit(limit)
        .into_tuple()
        .all(connection)
        .await?
        .pop();
    let Some(last) = last else { return Ok(0) };
    let old = Expr::col(known::Column::LastUsedAt).lte(last);
    Ok(known::Entity::delete_many().filter(old).exec(connection).await?.rows_affected)
}
