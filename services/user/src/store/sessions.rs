//! Sessions.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, sea_query::Expr,
};
use shop_storage::StorageError;
use shop_types::{Instant, Uuid};

use super::entity::session::{self, Column, Entity};
use crate::domain::{Session, SessionSecret};

impl TryFrom<session::Model> for Session {
    type Error = DbErr;

    fn try_from(row: session::Model) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.id,
            user_id: row.user_id,
            key: SessionSecret::from_stored(&row.secret)
                .ok_or_else(|| DbErr::Type("stored session: secret".to_owned()))?,
            expires_at: Instant::from_micros(row.expires_at),
            present_hash: row.present_hash,
            predecessor_hash: row.predecessor_hash,
            rotated_at: Instant::from_micros(row.rotated_at),
        })
    }
}

pub(crate) async fn insert(connection: &impl ConnectionTrait, session: &Session) -> Result<(), StorageError> {
    let row = session::ActiveModel {
        id: Set(session.id),
        user_id: Set(session.user_id),
        secret: Set(session.key.as_bytes().to_vec()),
        present_hash: Set(session.present_hash.clone()),
        predecessor_hash: Set(session.predecessor_hash.clone()),
        rotated_at: Set(session.rotated_at.as_micros()),
        expires_at: Set(session.expires_at.as_micros()),
    };
    Entity::insert(row).exec_without_returning(connection).await?;
    Ok(())
}

pub(crate) async fn find(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<Session>, StorageError> {
    let row = Entity::find_by_id(id).one(connection).await?;
    Ok(row.map(Session::try_from).transpose()?)
}

/// [`find`], with the session locked until the transaction ends, so that of two refreshes one follows the other.
pub(crate) async fn find_to_change(
    connection: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<Session>, StorageError> {
    let row = Entity::find_by_id(id).lock_exclusive().one(connection).await?;
    Ok(row.map(Session::try_from).transpose()?)
}

/// Stores a rotation.
pub(crate) async fn rotate(connection: &impl ConnectionTrait, session: &Session) -> Result<(), StorageError> {
    Entity::update_many()
        .col_expr(Column::PresentHash, Expr::value(session.present_hash.clone()))
        .col_expr(Column::PredecessorHash, Expr::value(session.predecessor_hash.clone()))
        .col_expr(Column::RotatedAt, Expr::value(session.rotated_at.as_micros()))
        .filter(Column::Id.eq(session.id))
        .exec(connection)
        .await?;
    Ok(())
}

/// The ids of a user's sessions, newest first.
pub(crate) async fn of_user(connection: &impl ConnectionTrait, user_id: Uuid) -> Result<Vec<Uuid>, StorageError> {
    let ids = Entity::find().select_only().column(Column::Id).filter(Column::UserId.eq(user_id));
    Ok(ids.order_by_desc(Column::Id).into_tuple().all(connection).await?)
}

pub(crate) async fn delete(connection: &impl ConnectionTrait, ids: &[Uuid]) -> Result<(), StorageError> {
    Entity::delete_many().filter(Column::Id.is_in(ids.iter().copied())).exec(connection).await?;
    Ok(())
}

/// Deletes at most `limit` sessions that are over; how many.
pub(crate) async fn forget(connection: &impl ConnectionTrait, now: Instant, limit: u64) -> Result<u64, StorageError> {
    let over = Entity::find().select_only().column(Column::Id).filter(Column::ExpiresAt.lte(now.as_micros()));
    let ids: Vec<Uuid> = over.limit(limit).into_tuple().all(connection).await?;
    Ok(Entity::delete_many().filter(Column::Id.is_in(ids)).exec(connection).await?.rows_affected)
}
