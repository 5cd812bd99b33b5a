//! Orders one at a time.

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
    sea_query::{ExprTrait as _, LockBehavior, LockType, OnConflict},
};
use shop_storage::{StorageError, clock};
use shop_types::{Instant, Uuid};

use super::{
    entity::{due, item, order},
    rows,
};
use crate::domain::{Item, Order, Status};

/// An order; with an owner, only if it is theirs.
pub(crate) async fn find(
    connection: &impl ConnectionTrait,
    id: Uuid,
    owner: Option<Uuid>,
) -> Result<Option<Order>, StorageError> {
    found(connection, theirs(id, owner)).await
}

/// An order that is to be decided upon: nobody else decides upon it before the transaction ends, so that its items, its
/// dues and its saga's step are as they were read. With an owner, only if it is theirs.
pub(crate) async fn find_and_lock(
    transaction: &impl ConnectionTrait,
    id: Uuid,
    owner: Option<Uuid>,
) -> Result<Option<Order>, StorageError> {
    found(transaction, theirs(id, owner).lock_exclusive()).await
}

/// The same, unless somebody else decides upon it at this moment.
pub(crate) async fn find_and_lock_unless_locked(
    transaction: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<Order>, StorageError> {
    found(transaction, theirs(id, None).lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)).await
}

fn theirs(id: Uuid, owner: Option<Uuid>) -> Select<order::Entity> {
    let query = order::Entity::find_by_id(id);
    match owner {
        Some(owner) => query.filter(order::Column::UserId.eq(owner)),
        None => query,
    }
}

async fn found(connection: &impl ConnectionTrait, query: Select<order::Entity>) -> Result<Option<Order>, StorageError> {
    let Some(row) = query.one(connection).await? else { return Ok(None) };
    let id = row.id;
    let items = item::Entity::find()
        .filter(item::Column::OrderId.eq(id))
        .order_by_asc(item::Column::Position)
        .all(connection)
        .await?;
    let dues = due::Entity::find().filter(due::Column::OrderId.eq(id)).all(connection).await?;
    rows::order(row, items, &dues).map(Some)
}

/// Where an order stands.
pub(crate) async fn status(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<Status>, StorageError> {
    let name: Option<String> =
        order::Entity::find_by_id(id).select_only().column(order::Column::Status).into_tuple().one(connection).await?;
    name.map(|name| rows::status(&name)).transpose()
}

/// Takes the row of an order that is to be decided upon, like [`find_and_lock`], and says where it stands.
pub(crate) async fn lock(transaction: &impl ConnectionTrait, id: Uuid) -> Result<Option<(Status, i64)>, StorageError> {
    let columns = theirs(id, None).select_only().column(order::Column::Status).column(order::Column::Version);
    let row: Option<(String, i64)> = columns.lock_exclusive().into_tuple().one(transaction).await?;
    row.map(|(name, version)| Ok((rows::status(&name)?, version))).transpose()
}

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) version: i64,
    /// Its status has no way out, and nothing is owed back.
    pub(crate) is_over: bool,
}

/// How far an order has come; with an owner, only if it is theirs.
pub(crate) async fn standing(
    connection: &impl ConnectionTrait,
    id: Uuid,
    owner: Option<Uuid>,
) -> Result<Option<Standing>, StorageError> {
    let columns = theirs(id, owner).select_only().column(order::Column::Version).column(order::Column::Status);
    let Some((version, name)) = columns.into_tuple::<(i64, String)>().one(connection).await? else { return Ok(None) };
    let is_over = rows::status(&name)?.is_final()
        && due::Entity::find().filter(due::Column::OrderId.eq(id)).one(connection).await?.is_none();
    Ok(Some(Standing { version, is_over }))
}

/// The versions of these orders.
pub(crate) async fn versions(
    connection: &impl ConnectionTrait,
    ids: Vec<Uuid>,
) -> Result<Vec<(Uuid, i64)>, StorageError> {
    let versions = order::Entity::find()
        .select_only()
        .column(order::Column::Id)
        .column(order::Column::Version)
        .filter(order::Column::Id.is_in(ids))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(versions)
}

/// Writes what product said to an order's items.
pub(crate) async fn answer_items(
    connection: &impl ConnectionTrait,
    id: Uuid,
    items: &[Item],
) -> Result<(), StorageError> {
    let rows = items.iter().enumerate().map(|(position, item)| rows::item_row(id, position, item));
    let or_replace = OnConflict::columns([item::Column::OrderId, item::Column::Position])
        .update_columns([
            item::Column::Sku,
            item::Column::Name,
            item::Column::UnitAmount,
            item::Column::LineAmount,
            item::Column::Currency,
            item::Column::Refusal,
            item::Column::AvailableThen,
        ])
        .to_owned();
    item::Entity::insert_many(rows).on_conflict(or_replace).exec_without_returning(connection).await?;
    Ok(())
}

pub(super) async fn insert_items(
    connection: &impl ConnectionTrait,
    id: Uuid,
    items: &[Item],
) -> Result<(), StorageError> {
    let rows = items.iter().enumerate().map(|(position, item)| rows::item_row(id, position, item));
    item::Entity::insert_many(rows).exec_without_returning(connection).await?;
    Ok(())
}

/// Reserved orders whose time is over, the oldest first.
pub(crate) async fn overdue(connection: &impl ConnectionTrait, limit: u64) -> Result<Vec<Uuid>, StorageError> {
    let ids = order::Entity::find()
        .select_only()
        .column(order::Column::Id)
        .filter(order::Column::Status.eq(Status::Reserved.as_str()))
        .filter(order::Column::ExpiresAt.into_expr().lte(clock::now(connection.get_database_backend())))
        .order_by_asc(order::Column::ExpiresAt)
        .limit(limit)
        .into_tuple()
        .all(connection)
        .await?;
    Ok(ids)
}

/// When the next reserved order expires.
pub(crate) async fn next_expiry(connection: &impl ConnectionTrait) -> Result<Option<Instant>, StorageError> {
    let next: Option<Option<i64>> = order::Entity::find()
        .select_only()
        .column(order::Column::ExpiresAt)
        .filter(order::Column::Status.eq(Status::Reserved.as_str()))
        .order_by_asc(order::Column::ExpiresAt)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(next.flatten().map(Instant::from_micros))
}
