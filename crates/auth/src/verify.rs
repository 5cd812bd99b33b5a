//! Verifying tokens and judging what their bearers may call.

use std::{
    sync::Arc,
    time::{Duration, Instant as Monotonic},
};

use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::de::DeserializeOwned;
use shop_proto::{
    access::Rule,
    status::{Reason, Refusal},
};
use shop_types::Instant;

use crate::{
    CLOCK_LEEWAY, Caller, KeyBundle, MAX_TOKEN_BYTES, MAX_USER_TOKEN_TTL, Revocations, Role, SERVICE_TOKEN_TTL,
    USER_ISSUER, USER_TOKEN_AUDIENCE, UserCaller,
    claims::{SERVICE_TOKEN_TYPE, ServiceClaims, USER_TOKEN_TYPE, UserClaims, seconds},
    keys::{PublicKey, Snapshot},
};

/// Verified tokens that are remembered: some MiB at most, and more users than one server has in five minutes.
const CACHE_CAPACITY: u64 = 10_000;

/// Checks tokens for one service. Clones share the cache.
#[derive(Clone)]
pub struct Verifier {
    inner: Arc<Inner>,
}

struct Inner {
    bundle: KeyBundle,
    revocations: Revocations,
    service: &'static str,
    shop_uid: String,
    cache: moka::sync::Cache<[u8; 32], Arc<Verified>>,
}

struct Verified {
    caller: Caller,
    /// Seconds since the epoch, leeway included.
    until: i64,
    /// The load of the bundle it was verified against: a key that was taken out takes its tokens along.
    generation: u64,
}

/// Drops an entry from the cache when its token has expired.
struct UntilExpiry;

impl moka::Expiry<[u8; 32], Arc<Verified>> for UntilExpiry {
    fn expire_after_create(&self, _: &[u8; 32], verified: &Arc<Verified>, _: Monotonic) -> Option<Duration> {
        let left = verified.until.saturating_sub(Instant::now().as_seconds());
        Some(Duration::from_secs(u64::try_from(left).unwrap_or(0)))
    }
}

impl Verifier {
    /// Checks tokens meant for `service` of the shop `shop_uid`.
    pub fn new(bundle: KeyBundle, service: &'static str, shop_uid: &str, revocations: Revocations) -> Self {
        let cache = moka::sync::Cache::builder().max_capacity(CACHE_CAPACITY).expire_after(UntilExpiry).build();
        let inner = Inner { bundle, revocations, service, shop_uid: shop_uid.to_owned(), cache };
        Self { inner: Arc::new(inner) }
    }

    /// Whose token it is. What is remembered is the signature's verdict; time and revocation are judged at every use.
    pub fn verify(&self, token: &str) -> Result<Caller, Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(invalid_token());
        }
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let snapshot = self.inner.bundle.snapshot();
        let remembered = self.inner.cache.get(&key).filter(|entry| entry.generation == snapshot.generation);
        let verified = if let Some(verified) = remembered {
            verified
        } else {
            let verified = Arc::new(self.check(token, snapshot).ok_or_else(invalid_token)?);
            self.inner.cache.insert(key, verified.clone());
            verified
        };
        if verified.until < Instant::now().as_seconds() {
            return Err(invalid_token());
        }
        if let Caller::User(user) = &verified.caller
            && self.inner.revocations.is_revoked(user.session_id, user.user_id, user.epoch)
        {
            return Err(invalid_token());
        }
        Ok(verified.caller.clone())
    }

    /// Whether the caller may call a method with that rule. Users of role staff and admin are refused while revocations
    /// may be missing: a dismissed one must not keep the keys because the feed is down.
    pub fn permit(&self, rule: Rule, caller: &Caller) -> Result<(), Refusal> {
        let needed = match rule {
            Rule::Public => return Ok(()),
            Rule::Service(services) => {
                return match caller {
                    Caller::Anonymous => Err(unauthenticated()),
                    Caller::Service(name) if services.contains(&name.as_str()) => Ok(()),
                    Caller::Service(_) | Caller::User(_) => Err(forbidden()),
                };
            }
            Rule::Authenticated | Rule::Owner => Role::Customer,
            Rule::Staff => Role::Staff,
            Rule::Admin => Role::Admin,
        };
        match caller {
            Caller::Anonymous => Err(unauthenticated()),
            Caller::Service(_) => Err(forbidden()),
            Caller::User(user) if user.role < needed => Err(forbidden()),
            Caller::User(user) if user.role >= Role::Staff => self.inner.revocations.require_fresh(),
            Caller::User(_) => Ok(()),
        }
    }

    /// Whom a method that is open to everybody sees. Users of role staff and admin are customers to it while revocations
    /// may be missing: they are served, and not shown what only staff may see.
    pub(crate) fn for_everybody(&self, mut caller: Caller) -> Caller {
        if let Caller::User(user) = &mut caller
            && user.role >= Role::Staff
            && self.inner.revocations.require_fresh().is_err()
        {
            user.role = Role::Customer;
        }
        caller
    }

    /// The revocations it judges by.
    pub fn revocations(&self) -> &Revocations {
        &self.inner.revocations
    }

    /// Everything about a token that its own text and the keys decide.
    fn check(&self, token: &str, snapshot: Snapshot) -> Option<Verified> {
        let header = decode_header(token).ok()?;
        if header.alg != Algorithm::EdDSA || header.crit.is_some() {
            return None;
        }
        let kid = header.kid?;
        let snapshot = match snapshot.find(&kid) {
            Some(_) => snapshot,
            None => self.inner.bundle.snapshot_for_unknown_kid()?,
        };
        let key = snapshot.find(&kid)?;
        let (caller, exp) = match header.typ?.as_str() {
            USER_TOKEN_TYPE if key.issuer == USER_ISSUER => {
                let claims: UserClaims = verified_claims(token, key, USER_TOKEN_AUDIENCE)?;
                self.check_times(&claims.shop, claims.iat, claims.exp, MAX_USER_TOKEN_TTL)?;
                let UserClaims { sub: user_id, sid: session_id, role, epoch, exp, .. } = claims;
                (Caller::User(UserCaller { user_id, session_id, role, epoch }), exp)
            }
            SERVICE_TOKEN_TYPE if key.issuer != USER_ISSUER => {
                let claims: ServiceClaims = verified_claims(token, key, self.inner.service)?;
                self.check_times(&claims.shop, claims.iat, claims.exp, SERVICE_TOKEN_TTL)?;
                (Caller::Service(claims.iss), claims.exp)
            }
            _ => return None,
        };
        Some(Verified { caller, until: exp.saturating_add(seconds(CLOCK_LEEWAY)), generation: snapshot.generation })
    }

    /// What the library does not judge: the shop, a token from the future, and one that claims too long a life.
    fn check_times(&self, shop: &str, iat: i64, exp: i64, longest: Duration) -> Option<()> {
        let now = Instant::now().as_seconds();
        let fits = shop == self.inner.shop_uid
            && iat <= now.saturating_add(seconds(CLOCK_LEEWAY))
            && exp.saturating_sub(iat) <= seconds(longest);
        fits.then_some(())
    }
}

/// The claims, if the key signed them, they are meant for `audience`, and their time is now.
fn verified_claims<T: DeserializeOwned>(token: &str, key: &PublicKey, audience: &str) -> Option<T> {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.leeway = CLOCK_LEEWAY.as_secs();
    validation.validate_nbf = true;
    validation.set_issuer(&[&key.issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    decode(token, &key.key, &validation).ok().map(|data| data.claims)
}

pub(crate) fn invalid_token() -> Refusal {
    Refusal::new(Reason::InvalidToken, "The token is not valid, or no longer; sign in again.")
}

pub(crate) fn unauthenticated() -> Refusal {
    Refusal::new(Reason::Unauthenticated, "This needs an access token.")
}

pub(crate) fn forbidden() -> Refusal {
    Refusal::new(Reason::Forbidden, "Your role does not allow this.")
}
