//! The feed of revoked credentials.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, ExprTrait as _},
};
use shop_storage::StorageError;
use shop_types::Instant;

use super::entity::{
    revocation::{self, Column, Entity},
    revocation_counter as counter,
};
use crate::domain::{Revocation, Subject};

/// The counter's only row.
const ROW: i32 = 1;

impl TryFrom<revocation::Model> for Revocation {
    type Error = DbErr;

    fn try_from(row: revocation::Model) -> Result<Self, DbErr> {
        let subject = match (row.session_id, row.user_id, row.epoch) {
            (Some(id), None, None) => Subject::Session(id),
            (None, Some(id), Some(epoch)) => Subject::User { id, epoch },
            _ => return Err(DbErr::Type(format!("stored revocation {}: subject", row.position))),
        };
        Ok(Self { position: row.position, subject, forget_after: Instant::from_micros(row.forget_after) })
    }
}

/// Adds revocations at the next positions. The counter's row is held until the transaction commits, so that they show in
/// the order of their positions.
pub(crate) async fn append(
    connection: &impl ConnectionTrait,
    subjects: &[Subject],
    forget_after: Instant,
) -> Result<Vec<Revocation>, StorageError> {
    if subjects.is_empty() {
        return Ok(Vec::new());
    }
    let count = i64::try_from(subjects.len()).unwrap_or(i64::MAX);
    counter::Entity::update_many()
        .col_expr(counter::Column::LastPosition, Expr::col(counter::Column::LastPosition).add(count))
        .filter(counter::Column::Id.eq(ROW))
        .exec(connection)
        .await?;
    let row = counter::Entity::find_by_id(ROW).one(connection).await?;
    let last = row.ok_or_else(|| DbErr::RecordNotFound("the revocation counter has no row".to_owned()))?.last_position;
    let appended: Vec<_> = (last - count + 1..=last)
        .zip(subjects)
        .map(|(position, subject)| Revocation { position, subject: *subject, forget_after })
        .collect();
    let rows = appended.iter().map(|revocation| {
        let (session_id, user_id, epoch) = match revocation.subject {
            Subject::Session(id) => (Some(id), None, None),
            Subject::User { id, epoch } => (None, Some(id), Some(epoch)),
        };
        revocation::ActiveModel {
            position: Set(revocation.position),
            session_id: Set(session_id),
            user_id: Set(user_id),
            epoch: Set(epoch),
            forget_after: Set(forget_after.as_micros()),
        }
    });
    Entity::insert_many(rows).exec_without_returning(connection).await?;
    Ok(appended)
}

/// At most `limit` revocations after a position, oldest first.
pub(crate) async fn after(
    connection: &impl ConnectionTrait,
    position: i64,
    limit: u64,
) -> Result<Vec<Revocation>, StorageError> {
    let query = Entity::find().filter(Column::Position.gt(position)).order_by_asc(Column::Position).limit(limit);
    let rows = query.all(connection).await?;
    Ok(rows.into_iter().map(Revocation::try_from).collect::<Result<_, _>>()?)
}

/// Deletes at most `limit` revocations that concern no living token; how many.
pub(crate) async fn forget(connection: &impl ConnectionTrait, now: Instant, limit: u64) -> Result<u64, StorageError> {
    let old = Entity::find().select_only().column(Column::Position).filter(Column::ForgetAfter.lt(now.as_micros()));
    let positions: Vec<i64> = old.limit(limit).into_tuple().all(connection).await?;
    Ok(Entity::delete_many().filter(Column::Position.is_in(positions)).exec(connection).await?.rows_affected)
}
