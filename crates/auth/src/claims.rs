//! What the two kinds of token say (RFC 7519, RFC 9068) and the bounds on both.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shop_types::Uuid;

use crate::Role;

/// `iss` of user tokens. Its keys sign nothing else.
pub const USER_ISSUER: &str = "user";
/// `aud` of user tokens: any server of the shop.
pub const USER_TOKEN_AUDIENCE: &str = "shop";
/// `typ` of user tokens (RFC 9068).
pub(crate) const USER_TOKEN_TYPE: &str = "at+jwt";
/// `typ` of service tokens.
pub(crate) const SERVICE_TOKEN_TYPE: &str = "svc+jwt";
/// How long a service token lives.
pub const SERVICE_TOKEN_TTL: Duration = Duration::from_mins(1);
/// The longest life an access token may be given: a rotated key has to outlive the last token it signed.
pub const MAX_USER_TOKEN_TTL: Duration = Duration::from_hours(1);
/// How far the clocks of signer and verifier may be apart.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(5);
/// Ours have about 600 bytes; a longer one is not ours and is refused before any work is done on it.
pub const MAX_TOKEN_BYTES: usize = 2_048;

/// Claims of a user's access token.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UserClaims {
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) shop: String,
    pub(crate) sub: Uuid,
    pub(crate) sid: Uuid,
    pub(crate) role: Role,
    pub(crate) epoch: i64,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    pub(crate) jti: Uuid,
}

/// Claims of a service's token.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ServiceClaims {
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) shop: String,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    pub(crate) jti: Uuid,
}

/// A duration in whole seconds, as claims count.
pub(crate) fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
