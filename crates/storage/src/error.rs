//! What can go wrong between a service and its database.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sea_orm::DbErr;

use crate::fault::Fault;

/// A failed use of the database. Cloneable, because one failed commit fails every write of its group.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The database refused or broke; the driver's words are in the source.
    #[error("the database failed")]
    Database(#[source] Arc<DbErr>),
    /// The connection broke, or nothing was heard, while a write was committed: it may count, or not. Whoever repeats it
    /// must be able to do so without harm.
    #[error("the database did not say whether a write was committed")]
    CommitUnknown(#[source] Option<Arc<DbErr>>),
    /// The server is not there, or lets nobody in.
    #[error("the database at {server} can't be reached")]
    Unreachable {
        /// Its host and port.
        server: String,
        /// What was tried last.
        #[source]
        source: Arc<DbErr>,
    },
    /// The queue of writes is full: the disk does not keep up.
    #[error("too many writes are waiting")]
    Busy,
    /// One write took longer than any may.
    #[error("a write took longer than {bound_ms} ms")]
    TooSlow {
        /// The bound.
        bound_ms: u128,
    },
    /// The code of a write panicked; its changes were rolled back.
    #[error("a write panicked")]
    Panicked,
    /// The database was closed, at the end of the process.
    #[error("the database is closed")]
    Closed,
    /// Another process has the SQLite file.
    #[error("{} is in use by another process; stop it, or name another file", path.display())]
    Locked {
        /// The database file.
        path: PathBuf,
    },
    /// The file, or its folder, can't be used.
    #[error("can't use {}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// What is asked for is done to a SQLite file.
    #[error("--keep-copy is for SQLite: a server's database is not a file of ours")]
    NoFile,
    /// The URL names no engine that this build has.
    #[error("DATABASE_URL must begin with sqlite:, postgres:// or mysql:// (found scheme {scheme:?})")]
    UnknownEngine {
        /// What stood before the colon.
        scheme: String,
    },
    /// The URL has an engine, and something else is wrong with it.
    #[error("DATABASE_URL {reason}")]
    BadUrl {
        /// What is wrong, without anything that could be secret.
        reason: String,
    },
    /// Another migration runs.
    #[error("another migration of the database has not ended in {} s", waited.as_secs())]
    Migrating {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The database was never migrated.
    #[error("the database has no schema yet; run `migrate up` first")]
    NotMigrated,
    /// This binary and the database's schema don't fit.
    #[error(
        "the database has schema {schema_version} (for binaries that know {compatible_from} or later), this binary \
         works with {oldest_ok} to {newest}; {advice}"
    )]
    Incompatible {
        /// The database's schema.
        schema_version: i32,
        /// The oldest binary the schema still serves.
        compatible_from: i32,
        /// The oldest schema this binary works with.
        oldest_ok: i32,
        /// The schema this binary brings.
        newest: i32,
        /// What to do.
        advice: &'static str,
    },
}

impl StorageError {
    /// Whether a write broke a UNIQUE or PRIMARY KEY constraint.
    pub fn is_unique_violation(&self) -> bool {
        self.fault() == Some(Fault::Unique)
    }

    /// Whether trying again later can help: the database is slow, busy or away, rather than the statement wrong.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy | Self::TooSlow { .. } | Self::Closed | Self::CommitUnknown(_) => true,
            _ => matches!(self.fault(), Some(Fault::Conflict | Fault::Lost | Fault::Busy)),
        }
    }

    /// Whether the same again would fail in the same way: the database has another schema, or refuses what it is told.
    /// Credentials are not of these, as a server may be about to learn them.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Database(error) => matches!(Fault::of(error), Fault::Wrong | Fault::Unique),
            Self::NoFile | Self::UnknownEngine { .. } | Self::BadUrl { .. } | Self::Incompatible { .. } => true,
            _ => false,
        }
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        match self {
            Self::Database(error) | Self::Unreachable { source: error, .. } => Some(Fault::of(error)),
            _ => None,
        }
    }
}

impl From<DbErr> for StorageError {
    fn from(error: DbErr) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// What a write may fail with. The database's part in it decides whether the write is repeated.
pub trait WriteError: From<StorageError> + Send + 'static {
    /// The failure of the database, if it is one.
    fn storage(&self) -> Option<&StorageError>;
}

impl WriteError for StorageError {
    fn storage(&self) -> Option<&StorageError> {
        Some(self)
    }
}
