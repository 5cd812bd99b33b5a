//! The public keys of every issuer.

use std::{
    collections::HashMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant as Monotonic},
};

use jsonwebtoken::DecodingKey;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use shop_types::Instant;

use super::{
    KeyError, MAX_KEYS,
    file::{self, Watched},
};

/// Reloads for key ids that nobody published are this far apart, at least.
const UNKNOWN_KID_INTERVAL: Duration = Duration::from_secs(10);

/// One public key as the bundle file has it: a JWK (RFC 8037) with two members of ours.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PublicEntry {
    #[serde(flatten)]
    jwk: PublicJwk,
    iss: String,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_instant")]
    retire_after: Option<Instant>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct PublicJwk {
    kty: String,
    crv: String,
    alg: String,
    #[serde(rename = "use")]
    purpose: String,
    kid: String,
    x: String,
}

impl PublicEntry {
    pub(super) fn new(issuer: &str, kid: &str, x: &str, retire_after: Option<Instant>) -> Self {
        let jwk = PublicJwk {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            alg: "EdDSA".into(),
            purpose: "sig".into(),
            kid: kid.into(),
            x: x.into(),
        };
        Self { jwk, iss: issuer.into(), retire_after }
    }
}

/// RFC 3339 in the file.
pub(super) mod optional_instant {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use shop_types::Instant;

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(in crate::keys) fn serialize<S: Serializer>(value: &Option<Instant>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(instant) => to.collect_str(instant),
            None => to.serialize_none(),
        }
    }

    pub(in crate::keys) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Instant>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

/// The bundle file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct PublicKeys {
    keys: Vec<PublicEntry>,
}

impl PublicKeys {
    pub(super) fn read_or_empty(path: &Path) -> Result<Self, KeyError> {
        if path.exists() { Self::parse(path, &file::read(path)?) } else { Ok(Self::default()) }
    }

    fn parse(path: &Path, content: &str) -> Result<Self, KeyError> {
        let invalid = |detail: String| KeyError::Invalid { path: path.to_owned(), detail };
        let keys: Self = serde_json::from_str(content).map_err(|error| invalid(error.to_string()))?;
        if keys.keys.len() > MAX_KEYS {
            return Err(invalid(format!("more than {MAX_KEYS} keys")));
        }
        Ok(keys)
    }

    pub(super) fn replace(&mut self, issuer: &str, keys: Vec<PublicEntry>) {
        self.keys.retain(|key| key.iss != issuer);
        self.keys.extend(keys);
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// A key that tokens are verified with.
pub(crate) struct PublicKey {
    pub(crate) issuer: String,
    pub(crate) key: DecodingKey,
    retire_after: Option<Instant>,
    jwk: PublicJwk,
}

impl PublicKey {
    fn in_use(&self, now: Instant) -> bool {
        self.retire_after.is_none_or(|end| now < end)
    }
}

type KeysById = HashMap<String, PublicKey>;

fn parse(path: &Path, content: &str) -> Result<KeysById, KeyError> {
    let invalid = |detail: String| KeyError::Invalid { path: path.to_owned(), detail };
    let mut by_id = KeysById::new();
    for PublicEntry { jwk, iss, retire_after } in PublicKeys::parse(path, content)?.keys {
        if (jwk.kty.as_str(), jwk.crv.as_str(), jwk.alg.as_str()) != ("OKP", "Ed25519", "EdDSA") {
            return Err(invalid(format!("key {} is not an Ed25519 key", jwk.kid)));
        }
        let public = super::signing::decode(&jwk.x).filter(|bytes| bytes.len() == 32);
        let public = public.ok_or_else(|| invalid(format!("key {} has no valid x", jwk.kid)))?;
        let kid = jwk.kid.clone();
        let key = PublicKey { issuer: iss, key: DecodingKey::from_ed_der(&public), retire_after, jwk };
        if by_id.insert(kid.clone(), key).is_some() {
            return Err(invalid(format!("key {kid} is there twice")));
        }
    }
    Ok(by_id)
}

/// The public keys, current with their file. Clones share it.
#[derive(Clone)]
pub struct KeyBundle {
    inner: Arc<Inner>,
}

struct Inner {
    keys: Watched<KeysById>,
    unknown_kid: Mutex<Option<Monotonic>>,
}

/// The keys of one moment, and the number of the load they came from.
pub(crate) struct Snapshot {
    keys: Arc<KeysById>,
    pub(crate) generation: u64,
}

impl Snapshot {
    /// The key, unless it is retired.
    pub(crate) fn find(&self, kid: &str) -> Option<&PublicKey> {
        self.keys.get(kid).filter(|key| key.in_use(Instant::now()))
    }
}

impl KeyBundle {
    /// Reads the bundle; later changes of the file are noticed within a second of use.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let keys = Watched::load(path, parse)?;
        Ok(Self { inner: Arc::new(Inner { keys, unknown_kid: Mutex::new(None) }) })
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let (keys, generation) = self.inner.keys.get();
        Snapshot { keys, generation }
    }

    /// The keys after one more look at the file for a key id that is not among them; `None` when the last such look was
    /// less than ten seconds ago, so that invented ids cost nothing.
    pub(crate) fn snapshot_for_unknown_kid(&self) -> Option<Snapshot> {
        let mut last = self.inner.unknown_kid.lock();
        if last.is_some_and(|last| last.elapsed() < UNKNOWN_KID_INTERVAL) {
            return None;
        }
        *last = Some(Monotonic::now());
        self.inner.keys.reload();
        Some(self.snapshot())
    }

    /// The public keys of one issuer that are in use, as a JWK Set (RFC 7517).
    pub fn jwks_json(&self, issuer: &str) -> String {
        #[derive(Serialize)]
        struct Jwks<'a> {
            keys: Vec<&'a PublicJwk>,
        }
        let snapshot = self.snapshot();
        let now = Instant::now();
        let mut keys: Vec<_> =
            snapshot.keys.values().filter(|key| key.issuer == issuer && key.in_use(now)).map(|key| &key.jwk).collect();
        keys.sort_by(|a, b| a.kid.cmp(&b.kid));
        serde_json::to_string(&Jwks { keys }).unwrap_or_default()
    }
}

impl std::fmt::Debug for KeyBundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyBundle").field("keys", &self.snapshot().keys.len()).finish()
    }
}
