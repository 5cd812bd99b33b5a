//! Which database a URL means. A URL holds a password: nothing of it but the scheme and a parameter's name is ever told.

use std::path::PathBuf;

use sea_orm::{
    DbBackend,
    sqlx::{mysql::MySqlConnectOptions, postgres::PgConnectOptions},
};
use secrecy::{ExposeSecret as _, SecretString};

use crate::StorageError;

/// The parameters that a PostgreSQL URL may have. The driver would log an unknown one with its value.
const POSTGRES_PARAMETERS: [&str; 6] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "host", "application_name"];
/// The parameters that a MySQL URL may have. The driver would pass over `sslmod=verify_identity` without a word.
const MYSQL_PARAMETERS: [&str; 5] = ["ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "socket"];

/// Where a database is.
#[derive(Debug, Clone)]
pub(crate) enum Engine {
    Sqlite(PathBuf),
    Server(Server),
}

/// A database server, with what its driver needs to know.
#[derive(Debug, Clone)]
pub(crate) enum Server {
    Postgres(Box<PgConnectOptions>),
    MySql(Box<MySqlConnectOptions>),
}

impl Engine {
    pub(crate) fn parse(url: &SecretString) -> Result<Self, StorageError> {
        let url = url.expose_secret();
        let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
        match scheme {
            "sqlite" if !rest.is_empty() => Ok(Self::Sqlite(PathBuf::from(rest.strip_prefix("//").unwrap_or(rest)))),
            "postgres" | "postgresql" => {
                check_parameters(rest, &POSTGRES_PARAMETERS)?;
                Ok(Self::Server(Server::Postgres(Box::new(url.parse().map_err(|error| bad_url(&error))?))))
            }
            "mysql" | "mariadb" => {
                check_parameters(rest, &MYSQL_PARAMETERS)?;
                Ok(Self::Server(Server::MySql(Box::new(url.parse().map_err(|error| bad_url(&error))?))))
            }
            // Without a colon the whole of it may be a secret in the wrong variable.
            _ if rest.is_empty() => Err(StorageError::UnknownEngine { scheme: String::new() }),
            _ => Err(StorageError::UnknownEngine { scheme: scheme.to_owned() }),
        }
    }

    pub(crate) fn backend(&self) -> DbBackend {
        match self {
            Self::Sqlite(_) => DbBackend::Sqlite,
            Self::Server(Server::Postgres(_)) => DbBackend::Postgres,
            Self::Server(Server::MySql(_)) => DbBackend::MySql,
        }
    }
}

impl Server {
    /// What an operator finds it by: host and port, or the socket.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Postgres(options) => match options.get_socket() {
                Some(socket) => socket.display().to_string(),
                None => format!("{}:{}", options.get_host(), options.get_port()),
            },
            Self::MySql(options) => match options.get_socket() {
                Some(socket) => socket.display().to_string(),
                None => format!("{}:{}", options.get_host(), options.get_port()),
            },
        }
    }
}

fn check_parameters(rest: &str, known: &[&str]) -> Result<(), StorageError> {
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let names = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split('=').next().unwrap_or(pair));
    match names.into_iter().find(|name| !known.contains(name)) {
        Some(unknown) => Err(StorageError::BadUrl {
            reason: format!("has the unknown parameter {unknown:?}; known are {}", known.join(", ")),
        }),
        None => Ok(()),
    }
}

fn bad_url(error: &sea_orm::sqlx::Error) -> StorageError {
    StorageError::BadUrl { reason: format!("can't be read: {error}") }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(url: &str) -> Result<Engine, StorageError> {
        Engine::parse(&SecretString::from(url))
    }

    #[test]
    fn each_scheme_is_its_engine() {
        assert!(matches!(parse("sqlite:a/b.db"), Ok(Engine::Sqlite(path)) if path == Path::new("a/b.db")));
        assert!(matches!(parse("sqlite:///a/b.db"), Ok(Engine::Sqlite(path)) if path == Path::new("/a/b.db")));
        let postgres = parse("postgres://me:secret@db.example:5433/shop?sslmode=verify-full&sslrootcert=/ca.pem");
        assert!(
            matches!(postgres, Ok(Engine::Server(Server::Postgres(options))) if (options.get_host(), options.get_port()) == ("db.example", 5433))
        );
        assert!(matches!(parse("mysql://me@db/shop?ssl-mode=verify_identity"), Ok(Engine::Server(Server::MySql(_)))));
    }

    #[test]
    fn what_is_refused_says_why_and_keeps_the_password() {
        for (url, said) in [
            ("hunter2-secret", "must begin with"),
            ("sqlite:", "must begin with"),
            ("oracle:hunter2-secret", "\"oracle\""),
            ("mysql://me:hunter2-secret@db/shop?ssl_mode=verify_identity", "\"ssl_mode\""),
            ("postgres://me:hunter2-secret@db/shop?sslmode=verify-full&password=hunter2-secret", "\"password\""),
            ("postgres://me:hunter2-secret@db:port/shop", "can't be read"),
            ("postgres://me:hunter2-secret@db/shop?sslmode=sometimes", "sometimes"),
        ] {
            let refused = parse(url).unwrap_err();
            let told = format!("{refused} {refused:?}");
            assert!(told.contains(said), "{url}: {told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}
