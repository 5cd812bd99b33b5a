//! Users' addresses. Every query names the owner: another's address is no address.

use sea_orm::{
    ActiveModelTrait as _, ActiveValue::NotSet, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _,
    IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};
use shop_storage::StorageError;
use shop_types::{PostalAddress, RawAddress, Uuid};

use super::entity::address::{Column, Entity, Model};
use crate::domain::{Address, Label};

impl TryFrom<Model> for Address {
    type Error = DbErr;

    fn try_from(row: Model) -> Result<Self, DbErr> {
        let invalid = |field: &str| DbErr::Type(format!("stored address: {field}"));
        let raw = RawAddress {
            recipient: &row.recipient,
            line1: &row.line1,
            line2: row.line2.as_deref().unwrap_or_default(),
            city: &row.city,
            region: row.region.as_deref().unwrap_or_default(),
            postal_code: &row.postal_code,
            country: &row.country,
        };
        let postal = PostalAddress::parse(&raw)
            .map_err(|errors| invalid(errors.first().map_or("unknown", |error| error.field)))?;
        let label = row.label.as_deref().map(Label::parse).transpose().map_err(|_| invalid("label"))?;
        Ok(Self { id: row.id, label, postal })
    }
}

fn row(user_id: Uuid, address: &Address) -> Model {
    let postal = &address.postal;
    Model {
        id: address.id,
        user_id,
        label: address.label.as_ref().map(|label| label.as_str().to_owned()),
        recipient: postal.recipient().to_owned(),
        line1: postal.line1().to_owned(),
        line2: postal.line2().map(str::to_owned),
        city: postal.city().to_owned(),
        region: postal.region().map(str::to_owned),
        postal_code: postal.postal_code().to_owned(),
        country: postal.country().to_owned(),
    }
}

pub(crate) async fn count(connection: &impl ConnectionTrait, user_id: Uuid) -> Result<u64, StorageError> {
    Ok(Entity::find().filter(Column::UserId.eq(user_id)).count(connection).await?)
}

pub(crate) async fn insert(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    address: &Address,
) -> Result<(), StorageError> {
    Entity::insert(row(user_id, address).into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

fn of(user_id: Uuid, id: Uuid) -> Select<Entity> {
    Entity::find().filter(Column::UserId.eq(user_id)).filter(Column::Id.eq(id))
}

pub(crate) async fn find(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    id: Uuid,
) -> Result<Option<Address>, StorageError> {
    let found = of(user_id, id).one(connection).await?;
    Ok(found.map(Address::try_from).transpose()?)
}

/// [`find`] for a change that keeps what it does not name: locked until the transaction ends.
pub(crate) async fn find_to_change(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    id: Uuid,
) -> Result<Option<Address>, StorageError> {
    let found = of(user_id, id).lock_exclusive().one(connection).await?;
    Ok(found.map(Address::try_from).transpose()?)
}

/// A user's addresses older than `after`, newest first.
pub(crate) async fn list(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Address>, StorageError> {
    let mut query = Entity::find().filter(Column::UserId.eq(user_id)).order_by_desc(Column::Id).limit(limit);
    if let Some(after) = after {
        query = query.filter(Column::Id.lt(after));
    }
    let rows = query.all(connection).await?;
    Ok(rows.into_iter().map(Address::try_from).collect::<Result<_, _>>()?)
}

pub(crate) async fn update(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    address: &Address,
) -> Result<(), StorageError> {
    let mut changed = row(user_id, address).into_active_model().reset_all();
    changed.id = NotSet;
    Entity::update_many()
        .set(changed)
        .filter(Column::UserId.eq(user_id))
        .filter(Column::Id.eq(address.id))
        .exec(connection)
        .await?;
    Ok(())
}

/// Whether there was one to delete.
pub(crate) async fn delete(connection: &impl ConnectionTrait, user_id: Uuid, id: Uuid) -> Result<bool, StorageError> {
    let deleted =
        Entity::delete_many().filter(Column::UserId.eq(user_id)).filter(Column::Id.eq(id)).exec(connection).await?;
    Ok(deleted.rows_affected > 0)
}

pub(crate) async fn delete_all(connection: &impl ConnectionTrait, user_id: Uuid) -> Result<(), StorageError> {
    Entity::delete_many().filter(Column::UserId.eq(user_id)).exec(connection).await?;
    Ok(())
}
