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
/// 256 bits, beyond guessing.
const SECRET_BYTES: usize = 32;

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
        let path = self.secrets_dir().join(name);
        let failed = || format!("can't keep the secret {}", path.display());
        match fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => return Ok(SecretString::from(text.trim().to_owned())),
            Ok(_empty) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(failed),
        }
        let secret = random_hex(SECRET_BYTES)?;
        write_private(&path, &secret).with_context(failed)?;
        Ok(SecretString::from(secret))
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

/// As many random bytes from the operating system, in hexadecimal.
pub(crate) fn random_hex(bytes: usize) -> anyhow::Result<String> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).context("the operating system gives no randomness")?;
    Ok(hex::encode(random))
}

/// Whole or not at all: written beside its place, flushed, then moved there.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, path)
}
