//! What can go wrong between a service and its database.

use std::{path::PathBuf, sync::Arc};

use sea_orm::{DbErr, SqlErr};

/// SQLite's words for a lock that is held and for a disk without space: both pass without a change of ours.
const TRANSIENT_WORDS: [&str; 2] = ["database is locked", "database or disk is full"];

/// A failed use of the database. Cloneable, because one failed commit fails every write of its group.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The database refused or broke; the driver's words are in the source.
    #[error("the database failed")]
    Database(#[source] Arc<DbErr>),
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
    /// The URL names no engine that this build has.
    #[error("DATABASE_URL must begin with sqlite: (found scheme {scheme:?})")]
    UnknownEngine {
        /// What stood before the colon.
        scheme: String,
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
        matches!(self, Self::Database(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))))
    }

    /// Whether trying again later can help: the database is slow, busy or away, rather than the statement wrong.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy | Self::TooSlow { .. } | Self::Closed => true,
            Self::Database(error) => {
                let words = error.to_string();
                matches!(**error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_))
                    || TRANSIENT_WORDS.iter().any(|transient| words.contains(transient))
            }
            _ => false,
        }
    }
}

impl From<DbErr> for StorageError {
    fn from(error: DbErr) -> Self {
        Self::Database(Arc::new(error))
    }
}
