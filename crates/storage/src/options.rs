//! Where the database is and how much of it a process may use.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;
use shop_types::parse_duration;

use crate::{StorageError, url::Engine};

/// Where a service keeps its data, and what it may take of the database.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseOptions {
    /// The database: sqlite:PATH, postgres://USER:PASSWORD@HOST:PORT/DATABASE or mysql://… (MySQL 8, MariaDB
    /// 10.6 and later). Default: sqlite:SERVICE.db in the working folder.
    ///
    /// TLS to a server is set by parameters of the URL. PostgreSQL: sslmode=disable|prefer|require|verify-ca|verify-full,
    /// sslrootcert, sslcert, sslkey. MySQL: ssl-mode=disabled|preferred|required|verify_ca|verify_identity, ssl-ca,
    /// ssl-cert, ssl-key. Only `verify-full` and `verify_identity` keep out somebody who stands between. A unix socket is
    /// host=/folder (PostgreSQL) or socket=/file (MySQL). Between a process and PostgreSQL no pooler may stand that shares
    /// connections out by transaction.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<SecretString>,
    /// Connections for reading, at most.
    #[arg(long, env = "SHOP_DATABASE_READERS", default_value_t = DEFAULT_READERS, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=MAX_CONNECTIONS))]
    pub database_readers: u32,
    /// Connections for writing to a database server, at most. SQLite has one writer.
    #[arg(long, env = "SHOP_DATABASE_WRITERS", default_value_t = DEFAULT_WRITERS, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=MAX_CONNECTIONS))]
    pub database_writers: u32,
    /// How long a connection may take to be had, from 10ms to 1m.
    #[arg(long, env = "SHOP_DATABASE_ACQUIRE_TIMEOUT", value_name = "DURATION", default_value = "5s", value_parser = bounded)]
    pub database_acquire_timeout: Duration,
    /// How long a statement may take, from 10ms to 1m.
    #[arg(long, env = "SHOP_DATABASE_STATEMENT_TIMEOUT", value_name = "DURATION", default_value = "5s", value_parser = bounded)]
    pub database_statement_timeout: Duration,
    /// How long a statement may wait for what another transaction holds, from 10ms to 1m. MySQL counts whole seconds.
    #[arg(long, env = "SHOP_DATABASE_LOCK_TIMEOUT", value_name = "DURATION", default_value = "3s", value_parser = bounded)]
    pub database_lock_timeout: Duration,
}

/// Two cores keep about this many SQLite readers busy; each costs a thread and a page cache.
const DEFAULT_READERS: u32 = 4;
/// Transactions of a few milliseconds each: hundreds of writes a second, and ten replicas stay within the hundred
/// connections that PostgreSQL takes unless told otherwise.
const DEFAULT_WRITERS: u32 = 4;
/// More connections than this are no faster on any server, and each is a process of PostgreSQL.
const MAX_CONNECTIONS: i64 = 64;
/// The defaults of the time-outs, in one place with those that clap shows.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);

impl DatabaseOptions {
    /// The database at a URL, with everything else as by default.
    pub fn at(url: SecretString) -> Self {
        Self {
            database_url: Some(url),
            database_readers: DEFAULT_READERS,
            database_writers: DEFAULT_WRITERS,
            database_acquire_timeout: ACQUIRE_TIMEOUT,
            database_statement_timeout: STATEMENT_TIMEOUT,
            database_lock_timeout: LOCK_TIMEOUT,
        }
    }

    /// A SQLite file.
    pub fn sqlite_file(path: &Path) -> Self {
        Self::at(SecretString::from(format!("sqlite:{}", path.display())))
    }

    /// The engine and the place that the URL names, for the service `name`.
    pub(crate) fn engine(&self, name: &str) -> Result<Engine, StorageError> {
        match &self.database_url {
            Some(url) => Engine::parse(url),
            None => Ok(Engine::Sqlite(PathBuf::from(format!("{name}.db")))),
        }
    }
}

/// A time-out of zero would be none, and one of hours as good as none.
fn bounded(text: &str) -> Result<Duration, String> {
    let timeout = parse_duration(text)?;
    if (Duration::from_millis(10)..=Duration::from_mins(1)).contains(&timeout) {
        Ok(timeout)
    } else {
        Err("expected 10ms to 1m".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        database: DatabaseOptions,
    }

    #[test]
    fn what_is_not_given_is_what_code_has_too() {
        let given = Cli::try_parse_from(["test", "--database-url", "sqlite:test.db"]).unwrap().database;
        assert_eq!(format!("{given:?}"), format!("{:?}", DatabaseOptions::sqlite_file(Path::new("test.db"))));
    }

    #[test]
    fn a_time_out_is_bounded() {
        for refused in ["0s", "9ms", "61s", "soon"] {
            let parsed = Cli::try_parse_from(["test", "--database-statement-timeout", refused]);
            assert!(parsed.is_err(), "{refused}");
        }
    }
}
