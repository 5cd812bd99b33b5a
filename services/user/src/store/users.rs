//! Accounts. Those that are deleted are found by nothing here.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Select, sea_query::Expr,
};
use shop_auth::Role;
use shop_storage::{StorageError, insert_new};
use shop_types::{Instant, Uuid};

use super::entity::user::{self, Column, Entity};
use crate::domain::{Email, User};

impl From<Role> for user::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Customer => Self::Customer,
            Role::Staff => Self::Staff,
            Role::Admin => Self::Admin,
        }
    }
}

impl From<user::Role> for Role {
    fn from(role: user::Role) -> Self {
        match role {
            user::Role::Customer => Self::Customer,
            user::Role::Staff => Self::Staff,
            user::Role::Admin => Self::Admin,
        }
    }
}

impl From<user::Model> for User {
    fn from(row: user::Model) -> Self {
        Self {
            id: row.id,
            email: row.email,
            display_name: row.display_name,
            role: row.role.into(),
            disabled: row.disabled,
            epoch: row.epoch,
            created_at: Instant::from_micros(row.created_at),
            updated_at: Instant::from_micros(row.updated_at),
        }
    }
}

/// An account with the hash of its password.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) user: User,
    pub(crate) password_hash: String,
}

fn present() -> Select<Entity> {
    Entity::find().filter(Column::DeletedAt.is_null())
}

/// Adds an account; false when its e-mail is taken.
pub(crate) async fn insert(
    connection: &impl ConnectionTrait,
    user: &User,
    email: &Email,
    password_hash: &str,
) -> Result<bool, StorageError> {
    let row = user::ActiveModel {
        id: Set(user.id),
        email: Set(email.as_str().to_owned()),
        email_key: Set(Some(email.key().to_owned())),
        display_name: Set(user.display_name.clone()),
        password_hash: Set(Some(password_hash.to_owned())),
        role: Set(user.role.into()),
        disabled: Set(user.disabled),
        epoch: Set(user.epoch),
        created_at: Set(user.created_at.as_micros()),
        updated_at: Set(user.updated_at.as_micros()),
        deleted_at: Set(None),
    };
    insert_new(connection, Entity::insert(row)).await
}

pub(crate) async fn find(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<User>, StorageError> {
    Ok(present().filter(Column::Id.eq(id)).one(connection).await?.map(User::from))
}

/// [`find`] for a change that depends on what is found: the account is locked until the transaction ends. Whatever
/// belongs to an account is locked after it.
pub(crate) async fn find_to_change(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<User>, StorageError> {
    Ok(present().filter(Column::Id.eq(id)).lock_exclusive().one(connection).await?.map(User::from))
}

pub(crate) async fn credentials(
    connection: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<Credentials>, StorageError> {
    Ok(present().filter(Column::Id.eq(id)).one(connection).await?.and_then(with_hash))
}

/// [`credentials`], with the account locked as by [`find_to_change`].
pub(crate) async fn credentials_to_change(
    connection: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<Credentials>, StorageError> {
    Ok(present().filter(Column::Id.eq(id)).lock_exclusive().one(connection).await?.and_then(with_hash))
}

pub(crate) async fn credentials_by_email(
    connection: &impl ConnectionTrait,
    email: &Email,
) -> Result<Option<Credentials>, StorageError> {
    let row = present().filter(Column::EmailKey.eq(email.key())).one(connection).await?;
    Ok(row.and_then(with_hash))
}

fn with_hash(row: user::Model) -> Option<Credentials> {
    let password_hash = row.password_hash.clone()?;
    Some(Credentials { user: row.into(), password_hash })
}

/// Users older than `after`, newest first: ids are made in the order of time.
pub(crate) async fn list(
    connection: &impl ConnectionTrait,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<User>, StorageError> {
    let mut query = present().order_by_desc(Column::Id).limit(limit);
    if let Some(after) = after {
        query = query.filter(Column::Id.lt(after));
    }
    Ok(query.all(connection).await?.into_iter().map(User::from).collect())
}

/// Stores what of an account can change: name, role, whether it is disabled, and epoch.
pub(crate) async fn update(connection: &impl ConnectionTrait, user: &User) -> Result<(), StorageError> {
    Entity::update_many()
        .col_expr(Column::DisplayName, Expr::value(user.display_name.clone()))
        .col_expr(Column::Role, Expr::value(user.role.as_str()))
        .col_expr(Column::Disabled, Expr::value(user.disabled))
        .col_expr(Column::Epoch, Expr::value(user.epoch))
        .col_expr(Column::UpdatedAt, Expr::value(user.updated_at.as_micros()))
        .filter(Column::Id.eq(user.id))
        .exec(connection)
        .await?;
    Ok(())
}

/// Replaces the hash of a password; false when it is no longer `old`.
pub(crate) async fn replace_hash(
    connection: &impl ConnectionTrait,
    id: Uuid,
    old: &str,
    new: &str,
) -> Result<bool, StorageError> {
    let updated = Entity::update_many()
        .col_expr(Column::PasswordHash, Expr::value(new))
        .filter(Column::Id.eq(id))
        .filter(Column::PasswordHash.eq(old))
        .filter(Column::DeletedAt.is_null())
        .exec(connection)
        .await?;
    Ok(updated.rows_affected == 1)
}

/// Removes everything that says whose account it was.
pub(crate) async fn anonymise(
    connection: &impl ConnectionTrait,
    id: Uuid,
    epoch: i64,
    now: Instant,
) -> Result<(), StorageError> {
    Entity::update_many()
        .col_expr(Column::Email, Expr::value(""))
        .col_expr(Column::EmailKey, Expr::value(None::<String>))
        .col_expr(Column::DisplayName, Expr::value(""))
        .col_expr(Column::PasswordHash, Expr::value(None::<String>))
        .col_expr(Column::Disabled, Expr::value(true))
        .col_expr(Column::Epoch, Expr::value(epoch))
        .col_expr(Column::UpdatedAt, Expr::value(now.as_micros()))
        .col_expr(Column::DeletedAt, Expr::value(now.as_micros()))
        .filter(Column::Id.eq(id))
        .exec(connection)
        .await?;
    Ok(())
}

/// Admins that are not disabled.
pub(crate) async fn count_active_admins(connection: &impl ConnectionTrait) -> Result<u64, StorageError> {
    let admins = present().filter(Column::Role.eq(user::Role::Admin)).filter(Column::Disabled.eq(false));
    Ok(admins.count(connection).await?)
}
