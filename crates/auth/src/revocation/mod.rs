//! Which tokens are void before they expire.
//!
//! The user service writes revocations; every process that verifies tokens follows them ([`follow`]) and asks at every
//! use. An entry is forgotten when the last token it can concern has expired, so the state is as large as the number of
//! sign-outs and changes of role in one token's life.

mod feed;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant as Monotonic},
};

use parking_lot::RwLock;
use shop_proto::{
    status::{Reason, Refusal},
    user::{Revocation, revocation::Subject},
};
use shop_types::{Instant, Uuid};

pub use feed::follow;

/// How old the feed may be before staff and admins are refused.
pub const MAX_FEED_AGE: Duration = Duration::from_secs(30);

/// Forgotten entries are looked for this often, at most.
const FORGET_INTERVAL: Duration = Duration::from_secs(10);

/// What has been revoked. Clones share it.
#[derive(Clone)]
pub struct Revocations {
    state: Arc<RwLock<State>>,
}

struct State {
    sessions: HashMap<Uuid, Instant>,
    users: HashMap<Uuid, Epoch>,
    freshness: Freshness,
    forgotten_at: Monotonic,
}

#[derive(Clone, Copy)]
struct Epoch {
    /// Tokens with a lower one are void.
    lowest_good: i64,
    forget_after: Instant,
}

#[derive(Clone, Copy)]
enum Freshness {
    /// Told directly by the writer.
    Local,
    /// Last heard of; never at first.
    Followed(Option<Monotonic>),
}

impl Revocations {
    /// For a process that follows the feed. Not fresh before its first message.
    pub fn followed() -> Self {
        Self::with(Freshness::Followed(None))
    }

    /// For one who is told of each as it is made, as a test is: always fresh.
    pub fn local() -> Self {
        Self::with(Freshness::Local)
    }

    fn with(freshness: Freshness) -> Self {
        let state =
            State { sessions: HashMap::new(), users: HashMap::new(), freshness, forgotten_at: Monotonic::now() };
        Self { state: Arc::new(RwLock::new(state)) }
    }

    /// Whether a token of that session, user and epoch is void.
    pub fn is_revoked(&self, session_id: Uuid, user_id: Uuid, epoch: i64) -> bool {
        let state = self.state.read();
        state.sessions.contains_key(&session_id)
            || state.users.get(&user_id).is_some_and(|user| epoch < user.lowest_good)
    }

    /// Voids the tokens of one session.
    pub fn revoke_session(&self, session_id: Uuid, forget_after: Instant) {
        let mut state = self.state.write();
        state.revoke_session(session_id, forget_after);
        state.forget();
    }

    /// Voids a user's tokens with an epoch lower than `epoch`.
    pub fn revoke_below_epoch(&self, user_id: Uuid, epoch: i64, forget_after: Instant) {
        let mut state = self.state.write();
        state.revoke_below_epoch(user_id, epoch, forget_after);
        state.forget();
    }

    /// How old the knowledge is; `None` if nothing was ever heard.
    pub fn age(&self) -> Option<Duration> {
        match self.state.read().freshness {
            Freshness::Local => Some(Duration::ZERO),
            Freshness::Followed(heard) => heard.map(|heard| heard.elapsed()),
        }
    }

    /// Refuses when the knowledge is older than [`MAX_FEED_AGE`].
    pub fn require_fresh(&self) -> Result<(), Refusal> {
        if self.age().is_some_and(|age| age <= MAX_FEED_AGE) {
            return Ok(());
        }
        let detail = "It can't be told at the moment whether your access was revoked; try again shortly.";
        Err(Refusal::new(Reason::Unavailable, detail).with_retry_after(Duration::from_secs(2)))
    }

    /// Takes in what the feed said. An entry without a readable subject is skipped: a newer server may know more kinds.
    pub fn apply(&self, revocations: &[Revocation]) {
        let mut state = self.state.write();
        for revocation in revocations {
            state.apply(revocation);
        }
        state.forget();
    }

    /// Notes that nothing up to now is missing.
    pub fn heard(&self) {
        let mut state = self.state.write();
        if matches!(state.freshness, Freshness::Followed(_)) {
            state.freshness = Freshness::Followed(Some(Monotonic::now()));
        }
        state.forget();
    }

    #[cfg(test)]
    pub(crate) fn heard_ago(&self, age: Duration) {
        self.state.write().freshness = Freshness::Followed(Monotonic::now().checked_sub(age));
    }
}

impl State {
    fn apply(&mut self, revocation: &Revocation) {
        // Without a time it would never be forgotten; a token's longest life is a safe bound.
        let forget_after = revocation.forget_after.as_ref().map_or_else(
            || Instant::now().plus(crate::MAX_USER_TOKEN_TTL),
            |at| Instant::from_micros(at.seconds.saturating_mul(1_000_000).saturating_add(i64::from(at.nanos) / 1_000)),
        );
        match &revocation.subject {
            Some(Subject::SessionId(id)) => {
                if let Ok(id) = Uuid::parse_str(id) {
                    self.revoke_session(id, forget_after);
                }
            }
            Some(Subject::UserEpoch(user)) => {
                if let Ok(id) = Uuid::parse_str(&user.user_id) {
                    self.revoke_below_epoch(id, user.epoch, forget_after);
                }
            }
            None => {}
        }
    }

    fn revoke_session(&mut self, id: Uuid, forget_after: Instant) {
        let end = self.sessions.entry(id).or_insert(forget_after);
        *end = (*end).max(forget_after);
    }

    fn revoke_below_epoch(&mut self, id: Uuid, epoch: i64, forget_after: Instant) {
        let user = self.users.entry(id).or_insert(Epoch { lowest_good: epoch, forget_after });
        user.lowest_good = user.lowest_good.max(epoch);
        user.forget_after = user.forget_after.max(forget_after);
    }

    fn forget(&mut self) {
        if self.forgotten_at.elapsed() < FORGET_INTERVAL {
            return;
        }
        self.forgotten_at = Monotonic::now();
        let now = Instant::now();
        self.sessions.retain(|_, forget_after| now <= *forget_after);
        self.users.retain(|_, user| now <= user.forget_after);
    }
}

#[cfg(test)]
mod tests {
    use shop_types::new_id;

    use super::*;

    #[test]
    fn knowledge_is_stale_after_thirty_seconds_and_none_is_stale_from_the_start() {
        let revocations = Revocations::followed();
        assert_eq!(revocations.require_fresh().unwrap_err().reason, Reason::Unavailable);
        revocations.heard_ago(Duration::from_secs(29));
        assert!(revocations.require_fresh().is_ok());
        revocations.heard_ago(Duration::from_secs(31));
        assert!(revocations.require_fresh().is_err());
        revocations.heard();
        assert!(revocations.require_fresh().is_ok());
        assert!(Revocations::local().require_fresh().is_ok());
    }

    #[test]
    fn what_no_living_token_can_concern_is_forgotten() {
        let revocations = Revocations::local();
        let (old, new) = (new_id(), new_id());
        let past = Instant::from_micros(Instant::now().as_micros() - 1);
        let future = Instant::now().plus(Duration::from_mins(1));
        revocations.revoke_session(old, past);
        revocations.revoke_below_epoch(old, 1, past);
        revocations.revoke_session(new, future);
        revocations.revoke_below_epoch(new, 1, future);
        revocations.state.write().forgotten_at = Monotonic::now().checked_sub(FORGET_INTERVAL).unwrap();
        revocations.heard();
        assert!(!revocations.is_revoked(old, old, 0));
        assert!(revocations.is_revoked(new, old, 0) && revocations.is_revoked(old, new, 0));
    }

    #[test]
    fn a_revocation_never_loosens_an_earlier_one() {
        let revocations = Revocations::local();
        let user = new_id();
        let later = Instant::now().plus(Duration::from_mins(1));
        revocations.revoke_below_epoch(user, 7, later);
        revocations.revoke_below_epoch(user, 3, later);
        assert!(revocations.is_revoked(new_id(), user, 6));
    }
}
