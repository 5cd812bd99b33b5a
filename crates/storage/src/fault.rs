//! What an error of one of the three engines means.

use std::{io::ErrorKind, sync::Arc};

use sea_orm::{
    DbErr, RuntimeErr,
    sqlx::{self, mysql::MySqlDatabaseError, postgres::PgDatabaseError, sqlite::SqliteError},
};

/// What can be done about a failed statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A key is taken.
    Unique,
    /// Two transactions were in each other's way and this one gave in: the same again may well succeed.
    Conflict,
    /// The connection is gone, and with it the transaction that was open on it.
    Lost,
    /// The database is slow, full, starting or away: later, perhaps.
    Busy,
    /// The statement, the schema or the credentials are wrong.
    Wrong,
}

impl Fault {
    pub(crate) fn of(error: &DbErr) -> Self {
        match error {
            DbErr::ConnectionAcquire(_) => Self::Busy,
            DbErr::Conn(RuntimeErr::SqlxError(source))
            | DbErr::Exec(RuntimeErr::SqlxError(source))
            | DbErr::Query(RuntimeErr::SqlxError(source)) => Self::of_driver(source),
            _ => Self::Wrong,
        }
    }

    pub(crate) fn of_driver(error: &Arc<sqlx::Error>) -> Self {
        match &**error {
            sqlx::Error::Database(error) => {
                let error = &**error;
                if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
                    of_postgres(error.code())
                } else if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
                    of_mysql(error.number())
                } else if error.try_downcast_ref::<SqliteError>().is_some() {
                    of_sqlite(error.code().and_then(|code| code.parse().ok()).unwrap_or(0))
                } else {
                    Self::Wrong
                }
            }
            // What TLS says of a certificate that it does not trust, or can't read: the next attempt finds the same.
            sqlx::Error::Io(error) if error.kind() == ErrorKind::InvalidData => Self::Wrong,
            // A server that goes away in the middle of a message is a broken protocol to the driver.
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed => {
                Self::Lost
            }
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Self::Busy,
            _ => Self::Wrong,
        }
    }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn of_postgres(code: &str) -> Fault {
    match code {
        "23505" => Fault::Unique,
        // serialization_failure, deadlock_detected, lock_not_available
        "40001" | "40P01" | "55P03" => Fault::Conflict,
        // idle_in_transaction_session_timeout, idle_session_timeout and the two of a server that stops
        "25P03" | "57P05" | "57P01" | "57P02" => Fault::Lost,
        // query_canceled (the statement time-out), cannot_connect_now, read_only_sql_transaction (no longer the primary)
        "57014" | "57P03" | "25006" => Fault::Busy,
        // insufficient resources: disk, memory, connections
        _ if code.starts_with("53") => Fault::Busy,
        // connection exceptions
        _ if code.starts_with("08") => Fault::Lost,
        _ => Fault::Wrong,
    }
}

/// <https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html>,
/// <https://mariadb.com/kb/en/mariadb-error-code-reference/>
fn of_mysql(number: u16) -> Fault {
    match number {
        1022 | 1062 | 1169 | 1586 => Fault::Unique,
        // lock wait time-out, deadlock, MariaDB's changed snapshot
        1205 | 1213 | 1020 => Fault::Conflict,
        // shutdown, killed, nothing said for too long
        1053 | 1077 | 1078 | 1079 | 1927 | 3169 | 4031 => Fault::Lost,
        // disk full, too many connections (of all, of one user), out of memory, table full, read-only (no longer the
        // primary), interrupted, the statement time-out of MariaDB and of MySQL
        1021 | 1037 | 1038 | 1040 | 1041 | 1114 | 1203 | 1226 | 1290 | 1836 | 1317 | 1969 | 3024 => Fault::Busy,
        _ => Fault::Wrong,
    }
}

/// <https://www.sqlite.org/rescode.html>: the low byte is the primary code.
fn of_sqlite(code: i32) -> Fault {
    match (code, code & 0xff) {
        (1555 | 2067, _) => Fault::Unique,
        // BUSY (a lock that another process holds), LOCKED, FULL, CANTOPEN (no descriptor is left)
        (_, 5 | 6 | 13 | 14) => Fault::Busy,
        _ => Fault::Wrong,
    }
}

/// Whether MySQL refused a change of the schema, or its first row, because it is there.
pub(crate) fn already_done(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(source)) | DbErr::Query(RuntimeErr::SqlxError(source))) = error else {
        return false;
    };
    let number = source.as_database_error().and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
    // table, column, key, row, foreign key
    number.is_some_and(|error| matches!(error.number(), 1050 | 1060 | 1061 | 1062 | 1826))
}
