//! Credentials that are void before they expire.

use shop_auth::{CLOCK_LEEWAY, MAX_USER_TOKEN_TTL};
use shop_types::{Instant, Uuid};

/// Whose access tokens are void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Those of one session.
    Session(Uuid),
    /// Those of a user with a lower epoch.
    User { id: Uuid, epoch: i64 },
}

/// An entry of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Revocation {
    /// Grows by one with each, in the order of their commits.
    pub(crate) position: i64,
    pub(crate) subject: Subject,
    /// The last token it can concern has expired by then.
    pub(crate) forget_after: Instant,
}

/// When a revocation made now may be forgotten. By the longest life a token can have, not the configured one: that may
/// have been longer when the token was signed.
pub(crate) fn forget_after(now: Instant) -> Instant {
    now.plus(MAX_USER_TOKEN_TTL).plus(CLOCK_LEEWAY).plus(CLOCK_LEEWAY)
}
