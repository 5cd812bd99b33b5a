//! The use cases. Each is one transaction, or a few with the password's hash between them; what must be seen elsewhere is
//! told to the feed after the commit.

mod accounts;
mod addresses;
mod administration;
mod error;
mod feed;
mod hashing;
mod housekeeping;
mod login;
mod sessions;

pub(crate) use accounts::{Accounts, NewAccount, insert_account};
pub(crate) use addresses::Addresses;
pub(crate) use administration::{Administration, UserChange};
pub(crate) use error::Error;
pub(crate) use feed::Feed;
pub(crate) use hashing::Hasher;
pub(crate) use housekeeping::keep_house;
pub(crate) use login::Logins;
pub(crate) use sessions::{Sessions, TokenIssuer, Tokens};

use sea_orm::DatabaseTransaction;
use shop_types::Uuid;

use crate::{domain::Subject, store::sessions as stored};

/// Deletes a user's sessions but one; what is to be revoked for it.
async fn end_sessions(
    transaction: &DatabaseTransaction,
    user_id: Uuid,
    except: Option<Uuid>,
) -> Result<Vec<Subject>, Error> {
    let mut ended = stored::of_user(transaction, user_id).await?;
    ended.retain(|id| Some(*id) != except);
    stored::delete(transaction, &ended).await?;
    Ok(ended.into_iter().map(Subject::Session).collect())
}

/// A page of a listing.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// None on the last page.
    pub(crate) next_cursor: Option<String>,
}
