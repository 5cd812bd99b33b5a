//! One's own account: making it, changing it, deleting it.

use std::sync::Arc;

use sea_orm::DatabaseTransaction;
use shop_auth::{Role, UserCaller};
use shop_storage::{Database, clock};
use shop_types::{Instant, Uuid, new_id};

use super::{Error, Feed, Hasher, end_sessions, hashing::Verified};
use crate::{
    domain::{
        Check, ClientAddress, DisplayName, Email, Failures, Invalid, Password, Revocation, Standing, Subject, User,
        Verdict, account_key, forget_after, judge,
    },
    store::{addresses, logins, revocations, users},
};

/// The use cases of an account.
#[derive(Clone)]
pub(crate) struct Accounts {
    pub(crate) database: Database,
    pub(crate) hasher: Hasher,
    pub(crate) feed: Feed,
}

/// An account to be made, checked.
#[derive(Debug, Clone)]
pub(crate) struct NewAccount {
    pub(crate) email: Email,
    pub(crate) password: Password,
    pub(crate) display_name: DisplayName,
}

impl NewAccount {
    /// Checks all of it.
    pub(crate) fn parse(email: &str, password: &str, display_name: &str) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let display_name = check.take("/display_name", DisplayName::parse(display_name));
        let email = check.take("/email", Email::parse(email));
        // Without an e-mail there is nothing that a password must not contain.
        let password = email.as_ref().and_then(|email| check.take("/password", Password::choose(password, email)));
        let account = match (email, password, display_name) {
            (Some(email), Some(password), Some(display_name)) => Some(Self { email, password, display_name }),
            _ => None,
        };
        check.finish_with(account)
    }
}

/// Makes an account of a role.
pub(crate) async fn insert_account(
    database: &Database,
    hasher: &Hasher,
    account: NewAccount,
    role: Role,
) -> Result<User, Error> {
    let NewAccount { email, password, display_name } = account;
    // Before the work of hashing; the index decides.
    if users::credentials_by_email(database.reader(), &email).await?.is_some() {
        return Err(Error::EmailTaken);
    }
    let hash = hasher.hash_for_stranger(password).await?;
    let row = Arc::new((email, display_name.into_string(), hash));
    database
        .write(move |transaction| {
            let row = Arc::clone(&row);
            Box::pin(async move {
                let (email, display_name, hash) = &*row;
                let now = clock::read(transaction).await?;
                let user = User {
                    id: new_id(),
                    email: email.as_str().to_owned(),
                    display_name: display_name.clone(),
                    role,
                    disabled: false,
                    epoch: 0,
                    created_at: now,
                    updated_at: now,
                };
                if users::insert(transaction, &user, email, hash).await? { Ok(user) } else { Err(Error::EmailTaken) }
            })
        })
        .await
}

impl Accounts {
    /// Makes a customer.
    pub(crate) async fn register(&self, account: NewAccount) -> Result<User, Error> {
        insert_account(&self.database, &self.hasher, account, Role::Customer).await
    }

    pub(crate) async fn get(&self, id: Uuid) -> Result<User, Error> {
        users::find(self.database.reader(), id).await?.ok_or(Error::UnknownUser)
    }

    /// Changes what a user says of themselves; an absent name is kept.
    pub(crate) async fn update_profile(&self, id: Uuid, display_name: Option<&str>) -> Result<User, Error> {
        let parsed = display_name.map(DisplayName::parse).transpose();
        let name = parsed.map_err(|error| Invalid::field("/display_name", error.to_string()))?;
        let Some(name) = name.map(DisplayName::into_string) else { return self.get(id).await };
        self.database
            .write(move |transaction| {
                let name = name.clone();
                Box::pin(async move {
                    let present = users::find_to_change(transaction, id).await?.ok_or(Error::UnknownUser)?;
                    if present.display_name == name {
                        return Ok(present);
                    }
                    let updated_at = clock::read(transaction).await?;
                    let changed = User { display_name: name, updated_at, ..present };
                    users::update(transaction, &changed).await?;
                    Ok(changed)
                })
            })
            .await
    }

    /// Sets a new password and ends every session but the caller's.
    pub(crate) async fn change_password(&self, caller: &UserCaller, current: &str, new: &str) -> Result<(), Error> {
        let id = caller.user_id;
        let stored = users::credentials(self.database.reader(), id).await?.ok_or(Error::UnknownUser)?;
        let email = Email::parse(&stored.user.email).map_err(|_| Error::UnknownUser)?;
        let chosen = Password::choose(new, &email);
        let chosen = chosen.map_err(|error| Invalid::field("/new_password", error.to_string()))?;
        self.prove_password(caller, &email, current, stored.password_hash.clone()).await?;

        let new_hash = self.hasher.hash(chosen).await?;
        let except = caller.session_id;
        let hashes = Arc::new((stored.password_hash, new_hash));
        let revoked = self
            .database
            .write(move |transaction| {
                let hashes = Arc::clone(&hashes);
                Box::pin(async move {
                    let (old, new) = &*hashes;
                    // Somebody else has changed it in the meantime: then the current one given is wrong by now.
                    if !users::replace_hash(transaction, id, old, new).await? {
                        return Err(Error::WrongPassword);
                    }
                    let subjects = end_sessions(transaction, id, Some(except)).await?;
                    let now = clock::read(transaction).await?;
                    Ok(revocations::append(transaction, &subjects, forget_after(now)).await?)
                })
            })
            .await?;
        self.feed.tell(&revoked);
        Ok(())
    }

    /// Whether somebody with a session also knows the password. Throttled by session, so that a stolen one can't be used
    /// to guess it.
    async fn prove_password(&self, caller: &UserCaller, email: &Email, raw: &str, hash: String) -> Result<(), Error> {
        let key = Arc::new((account_key(email.key()), ClientAddress::session(caller.session_id)));
        let counted_as = self
            .database
            .write(move |transaction| {
                let key = Arc::clone(&key);
                Box::pin(async move { count_proof(transaction, &key.0, &key.1).await })
            })
            .await?;
        let Some(password) = Password::present(raw) else { return Err(Error::WrongPassword) };
        let verified = self.hasher.verify(password, Some(hash)).await;
        if let Ok(Verified::Wrong) = verified {
            return Err(Error::WrongPassword);
        }
        self.database
            .write(move |transaction| {
                Box::pin(async move { Ok::<_, Error>(logins::remove_failure(transaction, counted_as).await?) })
            })
            .await?;
        verified.map(|_| ())
    }

    /// Deletes the account: what says whose it was, its addresses and its sessions. Its e-mail is free again.
    pub(crate) async fn delete(&self, id: Uuid) -> Result<(), Error> {
        let revoked =
            self.database.write(move |transaction| Box::pin(async move { delete(transaction, id).await })).await?;
        self.feed.tell(&revoked);
        Ok(())
    }

    /// Whether a user may order, to which of their addresses.
    pub(crate) async fn standing(&self, id: Uuid, address_id: Option<Uuid>) -> Result<Standing, Error> {
        let reader = self.database.reader();
        let Some(user) = users::find(reader, id).await? else { return Ok(Standing::Unknown) };
        if user.disabled {
            return Ok(Standing::Disabled);
        }
        let Some(address_id) = address_id else { return Ok(Standing::Good(None)) };
        let address = addresses::find(reader, id, address_id).await?;
        Ok(address.map_or(Standing::AddressUnknown, |address| Standing::Good(Some(address.postal))))
    }
}

async fn count_proof(
    transaction: &DatabaseTransaction,
    account_key: &[u8],
    session: &ClientAddress,
) -> Result<Uuid, Error> {
    logins::lock(transaction, account_key, session).await?;
    let now = clock::read(transaction).await?;
    let failures = logins::failures(transaction, account_key, session, now).await?;
    // Only this session's own count: what strangers do must not keep the owner from changing the password.
    let own = Failures { pair: failures.pair, ..Failures::default() };
    if let Verdict::Throttled { retry_after } = judge(own, false, now) {
        return Err(Error::Throttled { retry_after });
    }
    let id = new_id();
    logins::add_failure(transaction, id, account_key, session, true, now).await?;
    Ok(id)
}

async fn delete(transaction: &DatabaseTransaction, id: Uuid) -> Result<Vec<Revocation>, Error> {
    let user = users::find_to_change(transaction, id).await?.ok_or(Error::UnknownUser)?;
    let now: Instant = clock::read(transaction).await?;
    let epoch = user.epoch + 1;
    end_sessions(transaction, id, None).await?;
    addresses::delete_all(transaction, id).await?;
    logins::forget_addresses(transaction, id).await?;
    logins::forget_failures_of(transaction, &account_key(&user.email)).await?;
    // Before the count, because it holds the counter's row: two admins who leave at once do so one after the other.
    let revoked = revocations::append(transaction, &[Subject::User { id, epoch }], forget_after(now)).await?;
    if user.is_active_admin() && users::count_active_admins(transaction).await? <= 1 {
        return Err(Error::LastAdmin);
    }
    users::anonymise(transaction, id, epoch, now).await?;
    Ok(revoked)
}
