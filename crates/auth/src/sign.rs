//! Signing tokens: users' by the user service, services' each by its own.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jsonwebtoken::{Algorithm, Header};
use parking_lot::RwLock;
use serde::Serialize;
use shop_types::{Instant, new_id};
use tonic::metadata::{Ascii, MetadataValue};

use crate::{
    AuthOptions, KeyError, MAX_USER_TOKEN_TTL, SERVICE_TOKEN_TTL, USER_ISSUER, USER_TOKEN_AUDIENCE, UserCaller,
    claims::{SERVICE_TOKEN_TYPE, ServiceClaims, USER_TOKEN_TYPE, UserClaims, seconds},
    keys::SigningKeyFile,
};

/// A cached service token is replaced this long before it ends: longer than any call takes to arrive.
const RENEW_BEFORE_END: Duration = Duration::from_secs(20);

/// Why a token could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key file holds no key whose time has come and not passed.
    #[error("no signing key of {0} is in use at this time")]
    NoKey(String),
    /// A life longer than [`MAX_USER_TOKEN_TTL`] would outlive its key.
    #[error("a token may live for at most an hour")]
    TooLong,
    /// The library refused.
    #[error("the token can't be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

fn sign(keys: &SigningKeyFile, issuer: &str, typ: &str, claims: &impl Serialize) -> Result<String, SignError> {
    let key = keys.current(issuer).ok_or_else(|| SignError::NoKey(issuer.to_owned()))?;
    let header = Header { typ: Some(typ.to_owned()), kid: Some(key.kid.clone()), ..Header::new(Algorithm::EdDSA) };
    jsonwebtoken::encode(&header, claims, &key.key).map_err(SignError::Sign)
}

/// Signs users' access tokens. Clones share the keys.
#[derive(Clone)]
pub struct UserTokenSigner {
    keys: Arc<SigningKeyFile>,
    shop_uid: Arc<str>,
}

impl UserTokenSigner {
    /// Signs with the user service's keys.
    pub fn new(options: &AuthOptions, shop_uid: &str) -> Result<Self, KeyError> {
        let keys = Arc::new(SigningKeyFile::load(&options.signing_keys, USER_ISSUER)?);
        Ok(Self { keys, shop_uid: shop_uid.into() })
    }

    /// A token for the user that lives for `ttl`, at most [`MAX_USER_TOKEN_TTL`].
    pub fn sign(&self, user: &UserCaller, ttl: Duration) -> Result<String, SignError> {
        if ttl > MAX_USER_TOKEN_TTL {
            return Err(SignError::TooLong);
        }
        let iat = Instant::now().as_seconds();
        let claims = UserClaims {
            iss: USER_ISSUER.into(),
            aud: USER_TOKEN_AUDIENCE.into(),
            shop: self.shop_uid.to_string(),
            sub: user.user_id,
            sid: user.session_id,
            role: user.role,
            epoch: user.epoch,
            iat,
            exp: iat + seconds(ttl),
            jti: new_id(),
        };
        sign(&self.keys, USER_ISSUER, USER_TOKEN_TYPE, &claims)
    }
}

/// Signs one service's calls to the others. Clones share keys and cached tokens.
#[derive(Clone)]
pub struct ServiceSigner {
    inner: Arc<Inner>,
}

struct Inner {
    keys: SigningKeyFile,
    service: &'static str,
    shop_uid: String,
    // Bounded by the number of services, whose names are static.
    cached: RwLock<HashMap<&'static str, Cached>>,
}

/// A token, and when it is good for a call.
struct Cached {
    value: MetadataValue<Ascii>,
    signed_at: Instant,
    renew_at: Instant,
}

impl Cached {
    /// Not before it was signed, either: the clock may have been set back, and callees go by theirs.
    fn is_good(&self, now: Instant) -> bool {
        self.signed_at <= now && now < self.renew_at
    }
}

impl ServiceSigner {
    /// Signs as `service`, with its keys. The user service has none: its keys sign users' tokens and nothing else.
    pub fn new(options: &AuthOptions, service: &'static str, shop_uid: &str) -> Result<Self, KeyError> {
        if service == USER_ISSUER {
            return Err(KeyError::IssuerName(service.to_owned()));
        }
        let keys = SigningKeyFile::load(&options.signing_keys, service)?;
        let inner = Inner { keys, service, shop_uid: shop_uid.to_owned(), cached: RwLock::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The `authorization` metadata for a call to `audience`, good for some twenty seconds at least.
    pub fn bearer(&self, audience: &'static str) -> Result<MetadataValue<Ascii>, SignError> {
        let now = Instant::now();
        if let Some(cached) = self.inner.cached.read().get(audience).filter(|cached| cached.is_good(now)) {
            return Ok(cached.value.clone());
        }
        let claims = ServiceClaims {
            iss: self.inner.service.into(),
            aud: audience.into(),
            shop: self.inner.shop_uid.clone(),
            iat: now.as_seconds(),
            exp: now.as_seconds() + seconds(SERVICE_TOKEN_TTL),
            jti: new_id(),
        };
        let token = sign(&self.inner.keys, self.inner.service, SERVICE_TOKEN_TYPE, &claims)?;
        let mut value = MetadataValue::try_from(format!("Bearer {token}"))
            .map_err(|_| SignError::NoKey(self.inner.service.to_owned()))?;
        value.set_sensitive(true);
        let renew_at = now.plus(SERVICE_TOKEN_TTL.saturating_sub(RENEW_BEFORE_END));
        let cached = Cached { value: value.clone(), signed_at: now, renew_at };
        self.inner.cached.write().insert(audience, cached);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_from_when_it_was_signed_until_it_is_renewed() {
        let cached = Cached {
            value: MetadataValue::from_static("Bearer x"),
            signed_at: Instant::from_micros(1_000),
            renew_at: Instant::from_micros(2_000),
        };
        let good = [999, 1_000, 1_999, 2_000].map(|now| cached.is_good(Instant::from_micros(now)));
        assert_eq!(good, [false, true, true, false]);
    }
}
