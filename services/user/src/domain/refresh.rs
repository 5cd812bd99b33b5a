//! Sessions and the refresh tokens that keep them alive.
//!
//! A token is the session's id, 256 secret bits and a tag, in base64url. The database keeps the SHA-256 of the secret of
//! the present token and of its predecessor, and a key of the session's own. The key makes two things: the tag, which
//! tells a token that was once issued from an invented one, so that only the former can end a session by its reuse; and
//! the successor's secret, as the HMAC of the predecessor's. A client that lost the answer to a refresh and repeats it
//! therefore gets the very same successor, although the database never held it. Whoever reads the database has the key
//! and the hashes, which is no token; whoever steals a token has no key.

use std::time::Duration;

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
    error::Unspecified,
    hmac, rand,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use shop_types::{Instant, Uuid};

/// How long a session lives from its last sign-in, however often it is refreshed.
pub(crate) const SESSION_TTL: Duration = Duration::from_hours(30 * 24);
/// How long after a rotation the predecessor counts as a retry.
const GRACE: Duration = Duration::from_secs(10);

const SECRET_LEN: usize = 32;
const ID_LEN: usize = 16;
const TAG_LEN: usize = 16;
const TOKEN_LEN: usize = ID_LEN + SECRET_LEN + TAG_LEN;
/// Base64url without padding.
const TEXT_LEN: usize = TOKEN_LEN.div_ceil(3) * 4 - 2;

/// A key of one session.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SessionSecret([u8; SECRET_LEN]);

impl SessionSecret {
    pub(crate) fn generate() -> Result<Self, Unspecified> {
        random().map(Self)
    }

    pub(crate) fn from_stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn derive(&self, purpose: &[u8], secret: &[u8; SECRET_LEN]) -> [u8; SECRET_LEN] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        context.update(purpose);
        context.update(secret);
        let mut derived = [0; SECRET_LEN];
        derived.copy_from_slice(context.sign().as_ref());
        derived
    }
}

/// A refresh token. Its text is shown to its owner and nobody else.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    session_id: Uuid,
    secret: [u8; SECRET_LEN],
    tag: [u8; TAG_LEN],
}

impl RefreshToken {
    /// The first token of a session.
    pub(crate) fn first(session_id: Uuid, key: &SessionSecret) -> Result<Self, Unspecified> {
        Ok(Self::with_secret(session_id, key, random()?))
    }

    /// The one token that follows this one.
    pub(crate) fn successor(&self, key: &SessionSecret) -> Self {
        Self::with_secret(self.session_id, key, key.derive(b"successor", &self.secret))
    }

    fn with_secret(session_id: Uuid, key: &SessionSecret, secret: [u8; SECRET_LEN]) -> Self {
        Self { session_id, secret, tag: tag(key, &secret) }
    }

    /// Reads a token; `None` for what can't be one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() != TEXT_LEN {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (id, rest) = bytes.split_at_checked(ID_LEN)?;
        let (secret, tag) = rest.split_at_checked(SECRET_LEN)?;
        let session_id = Uuid::from_slice(id).ok()?;
        Some(Self { session_id, secret: secret.try_into().ok()?, tag: tag.try_into().ok()? })
    }

    pub(crate) fn to_text(&self) -> String {
        let bytes = [self.session_id.as_bytes().as_slice(), &self.secret, &self.tag].concat();
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(crate) fn session_id(&self) -> Uuid {
        self.session_id
    }

    /// What the database keeps of it.
    pub(crate) fn hash(&self) -> Vec<u8> {
        digest(&SHA256, &self.secret).as_ref().to_vec()
    }

    /// Whether it was issued for a session with that key, at whatever time.
    pub(crate) fn was_issued_with(&self, key: &SessionSecret) -> bool {
        verify_slices_are_equal(&self.tag, &tag(key, &self.secret)).is_ok()
    }
}

fn tag(key: &SessionSecret, secret: &[u8; SECRET_LEN]) -> [u8; TAG_LEN] {
    let mut tag = [0; TAG_LEN];
    tag.copy_from_slice(&key.derive(b"issued", secret)[..TAG_LEN]);
    tag
}

fn random() -> Result<[u8; SECRET_LEN], Unspecified> {
    let mut bytes = [0; SECRET_LEN];
    rand::fill(&mut bytes)?;
    Ok(bytes)
}

/// A session as the database has it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) key: SessionSecret,
    pub(crate) expires_at: Instant,
    pub(crate) present_hash: Vec<u8>,
    pub(crate) predecessor_hash: Option<Vec<u8>>,
    pub(crate) rotated_at: Instant,
}

/// A presented token against its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presented {
    /// The present token: it is traded for its successor.
    Current,
    /// The predecessor, shortly after: the answer was lost, and the same successor is given again.
    Retry,
    /// A token used before. Either its owner or its thief comes second, and which is not to be told.
    Reused,
    /// No token of this session, or of one that is over.
    Invalid,
}

/// What a refresh does to a session.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// The token handed out.
    pub(crate) token: RefreshToken,
    /// The session to be stored; `None` when nothing changes.
    pub(crate) rotated: Option<Session>,
}

impl Session {
    /// What a token is to this session at a time.
    pub(crate) fn judge(&self, token: &RefreshToken, now: Instant) -> Presented {
        if token.session_id != self.id || now >= self.expires_at || !token.was_issued_with(&self.key) {
            return Presented::Invalid;
        }
        let hash = token.hash();
        if hash == self.present_hash {
            Presented::Current
        } else if self.predecessor_hash.as_ref() == Some(&hash) && now.since(self.rotated_at) <= GRACE {
            Presented::Retry
        } else {
            Presented::Reused
        }
    }

    /// The token that follows a current or retried one.
    pub(crate) fn follow(&self, token: &RefreshToken, presented: Presented, now: Instant) -> Option<Step> {
        let successor = token.successor(&self.key);
        match presented {
            Presented::Current => {
                let rotated = Self {
                    present_hash: successor.hash(),
                    predecessor_hash: Some(self.present_hash.clone()),
                    rotated_at: now,
                    ..self.clone()
                };
                Some(Step { token: successor, rotated: Some(rotated) })
            }
            Presented::Retry => Some(Step { token: successor, rotated: None }),
            Presented::Reused | Presented::Invalid => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shop_types::new_id;

    use super::*;

    const START: Instant = Instant::from_micros(1_800_000_000_000_000);

    fn session() -> (Session, RefreshToken) {
        let (id, key) = (new_id(), SessionSecret::generate().unwrap());
        let token = RefreshToken::first(id, &key).unwrap();
        let session = Session {
            id,
            user_id: new_id(),
            key,
            expires_at: START.plus(SESSION_TTL),
            present_hash: token.hash(),
            predecessor_hash: None,
            rotated_at: START,
        };
        (session, token)
    }

    fn rotate(session: &mut Session, token: &RefreshToken, now: Instant) -> RefreshToken {
        assert_eq!(session.judge(token, now), Presented::Current);
        let step = session.follow(token, Presented::Current, now).unwrap();
        *session = step.rotated.unwrap();
        step.token
    }

    #[test]
    fn the_predecessor_gets_the_same_successor_for_ten_seconds() {
        let (mut session, first) = session();
        let second = rotate(&mut session, &first, START);
        for seconds in [0, 9, 10] {
            let now = START.plus(Duration::from_secs(seconds));
            assert_eq!(session.judge(&first, now), Presented::Retry);
            let step = session.follow(&first, Presented::Retry, now).unwrap();
            assert!(step.token == second && step.rotated.is_none());
        }
        let late = START.plus(GRACE).plus(Duration::from_micros(1));
        assert_eq!(session.judge(&first, late), Presented::Reused);
    }

    #[test]
    fn a_session_ends_at_its_time() {
        let (session, token) = session();
        assert_eq!(session.judge(&token, session.expires_at), Presented::Invalid);
    }

    #[test]
    fn an_invented_token_is_not_a_reused_one() {
        let (session, token) = session();
        let other = RefreshToken::first(session.id, &SessionSecret::generate().unwrap()).unwrap();
        assert_eq!(session.judge(&other, START), Presented::Invalid);
        let mut bytes = URL_SAFE_NO_PAD.decode(token.to_text()).unwrap();
        bytes[20] ^= 1;
        let changed = RefreshToken::parse(&URL_SAFE_NO_PAD.encode(bytes)).unwrap();
        assert_eq!(session.judge(&changed, START), Presented::Invalid);
    }

    proptest! {
        #[test]
        fn of_all_tokens_only_the_present_and_its_predecessor_are_good(rotations in 1usize..12, seconds in 0u64..20) {
            let (mut session, first) = session();
            let mut tokens = vec![first];
            for _ in 0..rotations {
                let next = rotate(&mut session, tokens.last().unwrap(), START);
                tokens.push(next);
            }
            let now = START.plus(Duration::from_secs(seconds));
            for (index, token) in tokens.iter().enumerate() {
                let expected = match rotations - index {
                    0 => Presented::Current,
                    1 if seconds <= 10 => Presented::Retry,
                    _ => Presented::Reused,
                };
                prop_assert_eq!(session.judge(token, now), expected);
            }
        }

        #[test]
        fn a_token_survives_its_text(secret: [u8; 32], key: [u8; 32]) {
            let token = RefreshToken::with_secret(new_id(), &SessionSecret(key), secret);
            prop_assert!(RefreshToken::parse(&token.to_text()).is_some_and(|read| read == token));
        }

        #[test]
        fn no_text_panics(text in "[A-Za-z0-9_=-]{0,100}") {
            let _ = RefreshToken::parse(&text);
        }
    }
}
