//! Sessions: opening, refreshing and ending them.

use std::{sync::Arc, time::Duration};

use sea_orm::DatabaseTransaction;
use shop_auth::{UserCaller, UserTokenSigner};
use shop_storage::{Database, clock};
use shop_types::{Instant, Uuid, new_id};

use super::{Error, Feed};
use crate::{
    domain::{Presented, RefreshToken, Revocation, SESSION_TTL, Session, SessionSecret, Subject, User, forget_after},
    store::{revocations, sessions, users},
};

/// Sessions of one user at once; the oldest ends when another begins.
const MAX_SESSIONS: usize = 100;

/// What a client holds of its session.
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) expires_in: Duration,
}

/// Signs access tokens.
#[derive(Clone)]
pub(crate) struct TokenIssuer {
    pub(crate) signer: UserTokenSigner,
    pub(crate) ttl: Duration,
}

/// A session with its present refresh token, and what opening it revoked.
pub(super) struct Opened {
    pub(super) user: User,
    pub(super) session_id: Uuid,
    pub(super) refresh: RefreshToken,
    pub(super) revoked: Vec<Revocation>,
}

impl TokenIssuer {
    pub(super) fn issue(&self, opened: &Opened) -> Result<Tokens, Error> {
        let User { id: user_id, role, epoch, .. } = opened.user;
        let caller = UserCaller { user_id, session_id: opened.session_id, role, epoch };
        let access = self.signer.sign(&caller, self.ttl).map_err(Error::Token)?;
        Ok(Tokens { access, refresh: opened.refresh.to_text(), expires_in: self.ttl })
    }
}

/// Begins a session, and ends the oldest ones of a user who has too many.
pub(super) async fn open_session(transaction: &DatabaseTransaction, user: User, now: Instant) -> Result<Opened, Error> {
    let present = sessions::of_user(transaction, user.id).await?;
    let surplus = present.get(MAX_SESSIONS - 1..).unwrap_or_default();
    let revoked = revoke_sessions(transaction, surplus, now).await?;

    let session_id = new_id();
    let key = SessionSecret::generate().map_err(|_| Error::Randomness)?;
    let refresh = RefreshToken::first(session_id, &key).map_err(|_| Error::Randomness)?;
    let session = Session {
        id: session_id,
        user_id: user.id,
        key,
        expires_at: now.plus(SESSION_TTL),
        present_hash: refresh.hash(),
        predecessor_hash: None,
        rotated_at: now,
    };
    sessions::insert(transaction, &session).await?;
    Ok(Opened { user, session_id, refresh, revoked })
}

async fn revoke_sessions(
    transaction: &DatabaseTransaction,
    ids: &[Uuid],
    now: Instant,
) -> Result<Vec<Revocation>, Error> {
    sessions::delete(transaction, ids).await?;
    let subjects: Vec<_> = ids.iter().copied().map(Subject::Session).collect();
    Ok(revocations::append(transaction, &subjects, forget_after(now)).await?)
}

/// The use cases of a session that is open.
#[derive(Clone)]
pub(crate) struct Sessions {
    pub(crate) database: Database,
    pub(crate) feed: Feed,
    pub(crate) issuer: TokenIssuer,
}

/// What came of a refresh.
enum Refreshed {
    Followed(Box<Opened>),
    /// The token was used before; its session is over.
    Ended(Vec<Revocation>),
    Invalid,
}

impl Sessions {
    /// New tokens for a refresh token.
    pub(crate) async fn refresh(&self, text: &str) -> Result<Tokens, Error> {
        let token = RefreshToken::parse(text).ok_or(Error::InvalidRefreshToken)?;
        if !self.was_issued(&token).await? {
            return Err(Error::InvalidRefreshToken);
        }
        let token = Arc::new(token);
        let refreshed = self
            .database
            .write(move |transaction| {
                let token = Arc::clone(&token);
                Box::pin(async move { refresh(transaction, &token).await })
            })
            .await?;
        match refreshed {
            Refreshed::Followed(opened) => self.issuer.issue(&opened),
            Refreshed::Ended(revoked) => {
                self.feed.tell(&revoked);
                Err(Error::InvalidRefreshToken)
            }
            Refreshed::Invalid => Err(Error::InvalidRefreshToken),
        }
    }

    /// Ends the session of a refresh token, if there is one.
    pub(crate) async fn logout(&self, text: &str) -> Result<(), Error> {
        let Some(token) = RefreshToken::parse(text) else { return Ok(()) };
        if !self.was_issued(&token).await? {
            return Ok(());
        }
        let id = token.session_id();
        let revoked = self
            .database
            .write(move |transaction| {
                Box::pin(async move {
                    let now = clock::read(transaction).await?;
                    revoke_sessions(transaction, &[id], now).await
                })
            })
            .await?;
        self.feed.tell(&revoked);
        Ok(())
    }

    /// Whether the token is of a session that is open. An invented one costs no more than this look.
    async fn was_issued(&self, token: &RefreshToken) -> Result<bool, Error> {
        let session = sessions::find(self.database.reader(), token.session_id()).await?;
        Ok(session.is_some_and(|session| token.was_issued_with(&session.key)))
    }
}

async fn refresh(transaction: &DatabaseTransaction, token: &RefreshToken) -> Result<Refreshed, Error> {
    let session = sessions::find_to_change(transaction, token.session_id()).await?;
    let Some(session) = session else { return Ok(Refreshed::Invalid) };
    // After the wait for the lock: how long ago the last rotation was decides.
    let now = clock::read(transaction).await?;
    let presented = session.judge(token, now);
    if presented == Presented::Reused {
        tracing::warn!(session.id = %session.id, user.id = %session.user_id, "A refresh token was used again; its session is ended.");
        return Ok(Refreshed::Ended(revoke_sessions(transaction, &[session.id], now).await?));
    }
    let Some(step) = session.follow(token, presented, now) else { return Ok(Refreshed::Invalid) };
    let user = users::find(transaction, session.user_id).await?.filter(|user| !user.disabled);
    let Some(user) = user else { return Ok(Refreshed::Invalid) };
    if let Some(rotated) = &step.rotated {
        sessions::rotate(transaction, rotated).await?;
    }
    Ok(Refreshed::Followed(Box::new(Opened { user, session_id: session.id, refresh: step.token, revoked: Vec::new() })))
}
