//! Where the database is and how much of it a process may use.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use crate::StorageError;

/// Where a service keeps its data.
#[derive(Debug, Clone, clap::Args)]
pub struct DatabaseOptions {
    /// The database, `sqlite:path/to/file.db`. Default: `sqlite:<service>.db` in the working folder.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<SecretString>,
    /// Connections kept for reading.
    #[arg(long, env = "SHOP_DATABASE_READERS", default_value_t = DEFAULT_READERS, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=64))]
    pub database_readers: u32,
}

/// Two cores keep about this many SQLite readers busy; each costs a thread and a page cache.
const DEFAULT_READERS: u32 = 4;

impl DatabaseOptions {
    /// A SQLite file.
    pub fn sqlite_file(path: &Path) -> Self {
        Self {
            database_url: Some(SecretString::from(format!("sqlite:{}", path.display()))),
            database_readers: DEFAULT_READERS,
        }
    }

    /// The SQLite file of the service `name`.
    pub(crate) fn sqlite_path(&self, name: &str) -> Result<PathBuf, StorageError> {
        let Some(url) = &self.database_url else { return Ok(PathBuf::from(format!("{name}.db"))) };
        let url = url.expose_secret();
        let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
        if scheme != "sqlite" || rest.is_empty() {
            return Err(StorageError::UnknownEngine { scheme: scheme.to_owned() });
        }
        Ok(PathBuf::from(rest.strip_prefix("//").unwrap_or(rest)))
    }
}
