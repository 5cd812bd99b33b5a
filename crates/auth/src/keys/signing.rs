//! An issuer's private keys.

use std::{path::Path, sync::Arc};

use aws_lc_rs::{
    encoding::AsBigEndian as _,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use shop_types::{Instant, new_id};

use super::{
    KeyError, MAX_KEYS, Rotation,
    bundle::{PublicEntry, optional_instant},
    file::{self, Watched},
};

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// One private key as the file has it: a JWK (RFC 8037) with its times.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    kty: String,
    crv: String,
    kid: String,
    x: String,
    #[serde(with = "secret")]
    d: SecretString,
    #[serde(with = "instant")]
    published_at: Instant,
    #[serde(with = "instant")]
    sign_from: Instant,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_instant")]
    retire_after: Option<Instant>,
}

/// The one place where the private part is written and read.
mod secret {
    use secrecy::{ExposeSecret as _, SecretString};
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose_secret())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
        String::deserialize(from).map(SecretString::from)
    }
}

/// RFC 3339 in the file.
mod instant {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use shop_types::Instant;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(value: &Instant, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Instant, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// The private file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SigningKeys {
    issuer: String,
    keys: Vec<Entry>,
}

impl SigningKeys {
    pub(super) fn read_or_empty(path: &Path, issuer: &str) -> Result<Self, KeyError> {
        if path.exists() { Self::read(path, issuer) } else { Ok(Self::empty(issuer)) }
    }

    pub(super) fn empty(issuer: &str) -> Self {
        Self { issuer: issuer.to_owned(), keys: Vec::new() }
    }

    pub(super) fn read(path: &Path, issuer: &str) -> Result<Self, KeyError> {
        Self::parse_for(path, &file::read(path)?, issuer)
    }

    pub(super) fn parse_for(path: &Path, content: &str, issuer: &str) -> Result<Self, KeyError> {
        let keys = Self::parse(path, content)?;
        if keys.issuer == issuer {
            Ok(keys)
        } else {
            let detail = format!("it belongs to {:?}, not to {issuer:?}", keys.issuer);
            Err(KeyError::Invalid { path: path.to_owned(), detail })
        }
    }

    fn parse(path: &Path, content: &str) -> Result<Self, KeyError> {
        // The position is enough to find the fault; serde's own words could quote the private part.
        let invalid = |detail: String| KeyError::Invalid { path: path.to_owned(), detail };
        let keys: Self = serde_json::from_str(content).map_err(|error| {
            invalid(format!("it can't be read at line {}, column {}", error.line(), error.column()))
        })?;
        if keys.keys.len() > MAX_KEYS {
            return Err(invalid(format!("more than {MAX_KEYS} keys")));
        }
        Ok(keys)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Adds a new key.
    pub(super) fn generate(&mut self, published_at: Instant, sign_from: Instant) -> Result<Rotation, KeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Generate)?;
        let seed = pair.seed().and_then(|seed| seed.as_be_bytes()).map_err(|_| KeyError::Generate)?;
        let kid = format!("{}-{}", self.issuer, new_id().simple());
        self.keys.push(Entry {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            kid: kid.clone(),
            x: URL_SAFE_NO_PAD.encode(pair.public_key()),
            d: SecretString::from(URL_SAFE_NO_PAD.encode(seed.as_ref())),
            published_at,
            sign_from,
            retire_after: None,
        });
        Ok(Rotation { kid, sign_from })
    }

    /// Sets the end of every other key that has none.
    pub(super) fn retire_others(&mut self, kid: &str, end: Instant) {
        for key in self.keys.iter_mut().filter(|key| key.kid != kid) {
            key.retire_after.get_or_insert(end);
        }
    }

    /// Whether there was anything to forget.
    pub(super) fn forget_retired(&mut self, now: Instant) -> bool {
        let before = self.keys.len();
        self.keys.retain(|key| key.retire_after.is_none_or(|end| now < end));
        self.keys.len() < before
    }

    /// The key that is published and not signed with yet.
    pub(super) fn waiting(&self, now: Instant) -> Option<Rotation> {
        let key = self.keys.iter().find(|key| key.sign_from > now)?;
        Some(Rotation { kid: key.kid.clone(), sign_from: key.sign_from })
    }

    pub(super) fn public(&self) -> Vec<PublicEntry> {
        self.keys.iter().map(|key| PublicEntry::new(&self.issuer, &key.kid, &key.x, key.retire_after)).collect()
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// A private key ready to sign with.
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    pub(crate) key: EncodingKey,
    sign_from: Instant,
    retire_after: Option<Instant>,
}

struct Parsed {
    issuer: String,
    keys: Vec<Arc<SigningKey>>,
}

fn parse(path: &Path, content: &str) -> Result<Parsed, KeyError> {
    let file = SigningKeys::parse(path, content)?;
    let keys = file.keys.iter().map(|entry| {
        let invalid =
            || KeyError::Invalid { path: path.to_owned(), detail: format!("key {} is no Ed25519 key pair", entry.kid) };
        let seed = decode(entry.d.expose_secret()).ok_or_else(invalid)?;
        let public = decode(&entry.x).ok_or_else(invalid)?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &public).map_err(|_| invalid())?;
        let document = pair.to_pkcs8().map_err(|_| invalid())?;
        Ok(Arc::new(SigningKey {
            kid: entry.kid.clone(),
            key: EncodingKey::from_ed_der(document.as_ref()),
            sign_from: entry.sign_from,
            retire_after: entry.retire_after,
        }))
    });
    Ok(Parsed { keys: keys.collect::<Result<_, KeyError>>()?, issuer: file.issuer })
}

/// An issuer's private keys, current with their file.
pub(crate) struct SigningKeyFile {
    keys: Watched<Parsed>,
}

impl SigningKeyFile {
    /// Reads the file of one issuer; another's is refused.
    pub(crate) fn load(path: &Path, issuer: &str) -> Result<Self, KeyError> {
        SigningKeys::read(path, issuer)?;
        Ok(Self { keys: Watched::load(path, parse)? })
    }

    /// The key to sign with now: the newest whose time has come. Where none has, the clock was set back, and the first is
    /// as good as it was. Which issuer it belongs to is checked again, as the file may have been replaced by another's.
    pub(crate) fn current(&self, issuer: &str) -> Option<Arc<SigningKey>> {
        let now = Instant::now();
        let (parsed, _) = self.keys.get();
        let usable = parsed.keys.iter().filter(|key| key.retire_after.is_none_or(|end| now < end));
        let come = usable.clone().filter(|key| key.sign_from <= now).max_by_key(|key| key.sign_from);
        let key = come.or_else(|| usable.min_by_key(|key| key.sign_from)).cloned();
        key.filter(|_| parsed.issuer == issuer)
    }
}
