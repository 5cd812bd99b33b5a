//! What admins do to other people's accounts.

use sea_orm::DatabaseTransaction;
use shop_auth::Role;
use shop_storage::{
    Database, clock,
    page::{self, CursorKey},
};
use shop_types::Uuid;

use super::{Error, Feed, Page, end_sessions};
use crate::{
    domain::{Invalid, Revocation, Subject, User, forget_after},
    store::{revocations, users},
};

/// What cursors of the listing are bound to.
const SCOPE: &str = "users";

/// The use cases of an admin.
#[derive(Clone)]
pub(crate) struct Administration {
    pub(crate) database: Database,
    pub(crate) feed: Feed,
    pub(crate) cursors: CursorKey,
}

/// What is to become of a user; absent keeps.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct UserChange {
    pub(crate) role: Option<Role>,
    pub(crate) disabled: Option<bool>,
}

impl Administration {
    /// Users, newest first.
    pub(crate) async fn list(&self, limit: i32, cursor: &str) -> Result<Page<User>, Error> {
        let limit = page::limit(limit).map_err(|error| Invalid::field("limit", error.to_string()))?;
        let after: Option<Uuid> = if cursor.is_empty() { None } else { Some(self.cursors.open(SCOPE, cursor)?) };
        // One more than asked for tells whether there is a next page.
        let mut items = users::list(self.database.reader(), after, limit + 1).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more);
        let next_cursor = last.map(|user| self.cursors.seal(SCOPE, &user.id));
        Ok(Page { items, next_cursor })
    }

    /// Sets a user's role, or disables them. Every access token of theirs is void at once; a disabled user's sessions
    /// are over.
    pub(crate) async fn update(&self, id: Uuid, change: UserChange) -> Result<User, Error> {
        let (user, revoked) = self
            .database
            .write(move |transaction| Box::pin(async move { update(transaction, id, change).await }))
            .await?;
        self.feed.tell(&revoked);
        Ok(user)
    }
}

async fn update(
    transaction: &DatabaseTransaction,
    id: Uuid,
    change: UserChange,
) -> Result<(User, Vec<Revocation>), Error> {
    let present = users::find_to_change(transaction, id).await?.ok_or(Error::UnknownUser)?;
    let role = change.role.unwrap_or(present.role);
    let disabled = change.disabled.unwrap_or(present.disabled);
    if (role, disabled) == (present.role, present.disabled) {
        return Ok((present, Vec::new()));
    }
    let now = clock::read(transaction).await?;
    let epoch = present.epoch + 1;
    let was_admin = present.is_active_admin();
    let changed = User { role, disabled, epoch, updated_at: now, ..present };
    if disabled {
        end_sessions(transaction, id, None).await?;
    }
    // Before the count, because it holds the counter's row: two admins who demote each other do so one after the other.
    let revoked = revocations::append(transaction, &[Subject::User { id, epoch }], forget_after(now)).await?;
    if was_admin && !changed.is_active_admin() && users::count_active_admins(transaction).await? <= 1 {
        return Err(Error::LastAdmin);
    }
    users::update(transaction, &changed).await?;
    Ok((changed, revoked))
}
