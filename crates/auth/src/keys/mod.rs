//! Signing keys: made, rotated and read.
//!
//! Each issuer has a private file `<issuer>.keys.json`; one `bundle.json` holds the public half of all of them, so that
//! verifying needs no call to anyone. A rotation publishes the new key first, signs with it [`PUBLISH_LEAD`] later, when
//! every process has read the bundle, and retires the old one once its last token has expired. Both files are read again
//! when they change.

mod bundle;
mod document;
mod file;
mod signing;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use shop_types::Instant;

use crate::{AuthOptions, CLOCK_LEEWAY, MAX_USER_TOKEN_TTL};

pub use bundle::KeyBundle;
use bundle::PublicKeys;
pub(crate) use bundle::{PublicKey, Snapshot};
pub use document::{SigningDocument, bundle_of};
use file::{FileLock, write_atomically};
pub(crate) use signing::{SigningKeyFile, SigningKeys};

/// How long a key is published before anything is signed with it.
pub const PUBLISH_LEAD: Duration = Duration::from_mins(5);

/// Keys in one file, retired ones included; a file with more was not made here.
const MAX_KEYS: usize = 64;
/// Bytes of one key file; a larger one was not made here.
const MAX_FILE_BYTES: u64 = 256 * 1_024;

/// Why keys could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file can't be read.
    #[error("can't read the keys in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file can't be written.
    #[error("can't write keys to {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no key file.
    #[error("{} is not a valid key file: {detail}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it. Never key material.
        detail: String,
    },
    /// The operating system's randomness failed.
    #[error("can't generate a key")]
    Generate,
    /// An issuer's name becomes part of a file's name.
    #[error("{0:?} is not an issuer's name: use lower-case letters and hyphens")]
    IssuerName(String),
}

/// Where [`create`] put the files.
#[derive(Debug, Clone)]
pub struct KeyPaths {
    dir: PathBuf,
}

impl KeyPaths {
    /// The files of a folder that [`create`] filled.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The public keys of all issuers.
    pub fn bundle(&self) -> PathBuf {
        self.dir.join("bundle.json")
    }

    /// The private keys of one.
    pub fn signing_keys(&self, issuer: &str) -> PathBuf {
        self.dir.join(format!("{issuer}.keys.json"))
    }

    /// What the service of that name is started with.
    pub fn options(&self, issuer: &str) -> AuthOptions {
        AuthOptions { key_bundle: self.bundle(), signing_keys: self.signing_keys(issuer) }
    }
}

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The key that is published and not yet signed with.
    pub kid: String,
    /// When it is signed with.
    pub sign_from: Instant,
}

/// Makes a first key for each issuer that has none, and the bundle. A key made here signs at once: nobody can have read
/// an older bundle that had this issuer.
pub fn create(dir: &Path, issuers: &[&str]) -> Result<KeyPaths, KeyError> {
    let paths = KeyPaths::new(dir);
    let _lock = FileLock::take(dir)?;
    let mut public = PublicKeys::read_or_empty(&paths.bundle())?;
    for issuer in issuers {
        check_issuer(issuer)?;
        let path = paths.signing_keys(issuer);
        let mut keys = SigningKeys::read_or_empty(&path, issuer)?;
        if keys.is_empty() {
            keys.generate(Instant::now(), Instant::now())?;
            write_private(&path, &keys)?;
        }
        public.replace(issuer, keys.public());
    }
    write_atomically(&paths.bundle(), &public.to_json(), PUBLIC_MODE)?;
    Ok(paths)
}

/// Takes the next step of an issuer's rotation: forgets what is retired by `now` and, unless a published key is still
/// waiting to be signed with, publishes one that signs from `now` + [`PUBLISH_LEAD`] and sets the end of the older ones.
pub fn rotate(dir: &Path, issuer: &str, now: Instant) -> Result<Rotation, KeyError> {
    check_issuer(issuer)?;
    let paths = KeyPaths::new(dir);
    let _lock = FileLock::take(dir)?;
    let path = paths.signing_keys(issuer);
    let mut keys = SigningKeys::read(&path, issuer)?;
    let mut public = PublicKeys::read_or_empty(&paths.bundle())?;
    keys.forget_retired(now);
    let rotation = if let Some(waiting) = keys.waiting(now) {
        waiting
    } else {
        let rotation = keys.generate(now, now.plus(PUBLISH_LEAD))?;
        // Published before anything else happens to it. A crash in between leaves a public key that nothing is signed
        // with and whose private half is lost; the next step drops it.
        public.replace(issuer, keys.public());
        write_atomically(&paths.bundle(), &public.to_json(), PUBLIC_MODE)?;
        keys.retire_others(&rotation.kid, retirement(&rotation));
        rotation
    };
    write_private(&path, &keys)?;
    public.replace(issuer, keys.public());
    write_atomically(&paths.bundle(), &public.to_json(), PUBLIC_MODE)?;
    Ok(rotation)
}

/// When the keys before a new one are not needed any more: their last token has expired then.
fn retirement(rotation: &Rotation) -> Instant {
    rotation.sign_from.plus(MAX_USER_TOKEN_TTL).plus(CLOCK_LEEWAY)
}

const PRIVATE_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;

fn write_private(path: &Path, keys: &SigningKeys) -> Result<(), KeyError> {
    write_atomically(path, &keys.to_json(), PRIVATE_MODE)
}

fn check_issuer(issuer: &str) -> Result<(), KeyError> {
    let fits = !issuer.is_empty() && issuer.len() <= 32 && issuer.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    if fits { Ok(()) } else { Err(KeyError::IssuerName(issuer.to_owned())) }
}
