//! Signing in.
//!
//! An attempt is counted as a failure, in a transaction that also judges it, before the password is looked at, and taken
//! back when it succeeds. However many attempts come at once, no more are looked at than the throttle allows.

use std::sync::Arc;

use sea_orm::DatabaseTransaction;
use shop_server::Shutdown;
use shop_storage::{Database, clock};
use shop_types::{Uuid, new_id};
use tokio::sync::oneshot;

use super::{
    Error, Feed, Hasher, TokenIssuer, Tokens,
    hashing::Verified,
    sessions::{Opened, open_session},
};
use crate::{
    domain::{ClientAddress, Email, Password, SPACING, Verdict, account_key, judge},
    store::{
        logins,
        users::{self, Credentials},
    },
};

/// Addresses remembered of one account: more places than anyone signs in from.
const KNOWN_ADDRESSES: u64 = 100;

/// The use case of signing in.
#[derive(Clone)]
pub(crate) struct Logins {
    pub(crate) database: Database,
    pub(crate) hasher: Hasher,
    pub(crate) feed: Feed,
    pub(crate) issuer: TokenIssuer,
    pub(crate) shutdown: Shutdown,
}

/// Who somebody says they are, and from where.
struct Claim {
    email: Option<Email>,
    account_key: Vec<u8>,
    address: ClientAddress,
}

/// An attempt that is looked at.
struct Admission {
    /// The failure it is counted as until it succeeds; from a known address beyond the limits it is not counted again.
    counted_as: Option<Uuid>,
    /// What a wrong password is answered with.
    failure: Error,
    credentials: Option<Credentials>,
}

impl Logins {
    pub(crate) async fn login(&self, email: &str, password: &str, address: ClientAddress) -> Result<Tokens, Error> {
        let claim = Claim { email: Email::parse(email).ok(), account_key: account_key(email), address };
        let claim = Arc::new(claim);
        // A storm of attempts, most of which can't be looked at, costs the database little.
        self.hasher.refuse_if_full()?;
        // An attempt whose caller has gone is looked at all the same: it was counted as a failure, which it may not be.
        let (sender, receiver) = oneshot::channel();
        let (logins, password) = (self.clone(), Password::present(password));
        self.shutdown.spawn("looking at a login", async move {
            let _ = sender.send(logins.attempt(&claim, password).await);
        });
        receiver.await.unwrap_or(Err(Error::Overloaded))
    }

    async fn attempt(&self, claim: &Arc<Claim>, password: Option<Password>) -> Result<Tokens, Error> {
        let admission = self.admit(claim).await?;
        let Admission { counted_as, failure, credentials } = admission;
        let Some(password) = password else { return Err(failure) };
        let stored = credentials.as_ref().map(|credentials| credentials.password_hash.clone());
        let verified = match self.hasher.verify(password, stored).await {
            Ok(verified) => verified,
            Err(error) => {
                // Nothing was learned about the password, so nothing failed.
                self.take_back(counted_as).await?;
                return Err(error);
            }
        };
        match (verified, credentials) {
            (Verified::Right { renewed }, Some(credentials)) => {
                let success = Success { credentials, renewed, counted_as, address: claim.address.clone() };
                let opened = self.succeed(success).await?;
                self.feed.tell(&opened.revoked);
                self.issuer.issue(&opened)
            }
            _ => Err(failure),
        }
    }

    async fn admit(&self, claim: &Arc<Claim>) -> Result<Admission, Error> {
        let claim = Arc::clone(claim);
        self.database
            .write(move |transaction| {
                let claim = Arc::clone(&claim);
                Box::pin(async move { admit(transaction, &claim).await })
            })
            .await
    }

    async fn succeed(&self, success: Success) -> Result<Opened, Error> {
        let success = Arc::new(success);
        self.database
            .write(move |transaction| {
                let success = Arc::clone(&success);
                Box::pin(async move { succeed(transaction, &success).await })
            })
            .await
    }

    async fn take_back(&self, counted_as: Option<Uuid>) -> Result<(), Error> {
        let Some(id) = counted_as else { return Ok(()) };
        self.database
            .write(move |transaction| Box::pin(async move { Ok(logins::remove_failure(transaction, id).await?) }))
            .await
    }
}

async fn admit(transaction: &DatabaseTransaction, claim: &Claim) -> Result<Admission, Error> {
    // So that whoever counts next counts this attempt.
    logins::lock(transaction, &claim.account_key, &claim.address).await?;
    let now = clock::read(transaction).await?;
    let credentials = match &claim.email {
        Some(email) => users::credentials_by_email(transaction, email).await?,
        None => None,
    };
    let known = match &credentials {
        Some(credentials) => logins::is_known(transaction, credentials.user.id, &claim.address).await?,
        None => false,
    };
    let failures = logins::failures(transaction, &claim.account_key, &claim.address, now).await?;
    match judge(failures, known, now) {
        Verdict::Admitted => {
            let id = new_id();
            logins::add_failure(transaction, id, &claim.account_key, &claim.address, known, now).await?;
            Ok(Admission { counted_as: Some(id), failure: Error::LoginFailed, credentials })
        }
        Verdict::AdmittedFromKnown { retry_after } => {
            let its_turn = match &credentials {
                Some(credentials) => logins::claim_turn(transaction, credentials.user.id, &claim.address).await?,
                None => false,
            };
            if !its_turn {
                return Err(Error::Throttled { retry_after: SPACING });
            }
            Ok(Admission { counted_as: None, failure: Error::Throttled { retry_after }, credentials })
        }
        Verdict::Throttled { retry_after } => Err(Error::Throttled { retry_after }),
    }
}

/// A right password.
struct Success {
    credentials: Credentials,
    renewed: Option<String>,
    counted_as: Option<Uuid>,
    address: ClientAddress,
}

async fn succeed(transaction: &DatabaseTransaction, success: &Success) -> Result<Opened, Error> {
    let Success { credentials, renewed, counted_as, address } = success;
    // The account may have been changed while the password was hashed; its lock keeps it as it is found.
    let present = users::credentials_to_change(transaction, credentials.user.id).await?.ok_or(Error::LoginFailed)?;
    let now = clock::read(transaction).await?;
    if present.user.disabled || present.password_hash != credentials.password_hash {
        return Err(Error::LoginFailed);
    }
    if let Some(id) = counted_as {
        logins::remove_failure(transaction, *id).await?;
    }
    if let Some(renewed) = renewed {
        users::replace_hash(transaction, present.user.id, &present.password_hash, renewed).await?;
    }
    logins::remember(transaction, present.user.id, address, now, KNOWN_ADDRESSES).await?;
    open_session(transaction, present.user, now).await
}
