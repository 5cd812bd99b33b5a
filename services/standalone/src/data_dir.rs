//! The data folder: databases, keys, secrets. Whatever is missing is made once and kept.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use secrecy::SecretString;
use shop_auth::{AuthOptions, keys};
use shop_storage::DatabaseOptions;
use shop_types::Instant;

/// Whoever signs tokens.
const ISSUERS: [&str; 4] = [shop_user::NAME, shop_product::NAME, shop_order::NAME, shop_gateway::NAME];
/// 128 bits, beyond guessing, in a form that a person can copy.
const SECRET_BYTES: usize = 16;

/// A data folder that is there and can be used.
pub(crate) struct DataDir {
    path: PathBuf,
}

impl DataDir {
    /// Makes the folder where there is none, for its owner's eyes only, with keys for every service.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let made = Self { path: path.to_owned() };
        for folder in [path, &made.keys_dir(), &made.secrets_dir()] {
            let built = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            built.with_context(|| format!("can't use {} as data folder", folder.display()))?;
        }
        keys::create(&made.keys_dir(), &ISSUERS).context("can't make the signing keys")?;
        Ok(made)
    }

    /// A folder that `shop up` made before.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let entries = fs::read_dir(path).with_context(|| format!("can't read the data folder {}", path.display()))?;
        drop(entries);
        let opened = Self { path: path.to_owned() };
        if !opened.keys_dir().is_dir() {
            bail!("{} is no data folder of a shop: `shop up --data-dir` makes one", path.display());
        }
        Ok(opened)
    }

    /// The database of a service.
    pub(crate) fn database(&self, service: &str) -> DatabaseOptions {
        DatabaseOptions::sqlite_file(&self.path.join(format!("{service}.db")))
    }

    /// The keys of a service.
    pub(crate) fn auth(&self, service: &str) -> AuthOptions {
        keys::KeyPaths::new(&self.keys_dir()).options(service)
    }

    /// A secret of that name, made at first use.
    pub(crate) fn secret(&self, name: &str) -> anyhow::Result<SecretString> {
        if let Some(kept) = self.kept_secret(name)? {
            return Ok(kept);
        }
        let mut random = [0; SECRET_BYTES];
        getrandom::fill(&mut random).context("the operating system gives no randomness")?;
        let secret = hex::encode(random);
        let path = self.secrets_dir().join(name);
        write_private(&path, &secret).with_context(|| format!("can't keep the secret {}", path.display()))?;
        Ok(SecretString::from(secret))
    }

    /// The secret of that name, if there is one.
    pub(crate) fn kept_secret(&self, name: &str) -> anyhow::Result<Option<SecretString>> {
        let path = self.secrets_dir().join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim()).filter(|text| !text.is_empty()).map(SecretString::from)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("can't read the secret {}", path.display())),
        }
    }

    /// Removes the secret of that name.
    pub(crate) fn forget_secret(&self, name: &str) -> anyhow::Result<()> {
        let path = self.secrets_dir().join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("can't remove the secret {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// The next step of every issuer's key rotation.
    pub(crate) fn rotate_keys(&self) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        for issuer in ISSUERS {
            let rotation = keys::rotate(&self.keys_dir(), issuer, Instant::now())
                .with_context(|| format!("can't rotate the keys of {issuer}"))?;
            writeln!(stdout, "{issuer}: key {} is published and signs from {}", rotation.kid, rotation.sign_from)?;
        }
        Ok(())
    }

    fn keys_dir(&self) -> PathBuf {
        self.path.join("keys")
    }

    fn secrets_dir(&self) -> PathBuf {
        self.path.join("secrets")
    }
}

/// Whole or not at all: written beside its place, flushed, then moved there.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, path)
}
