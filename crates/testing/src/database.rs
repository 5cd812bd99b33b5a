//! A database for one test.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sea_orm::{ConnectOptions, ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};
use secrecy::SecretString;
use shop_storage::DatabaseOptions;
use tempfile::TempDir;
use uuid::Uuid;

/// Names the server that databases are made on, by the URL of a user who may make them. Without it, and without a server,
/// they are SQLite files.
pub const SERVER_VARIABLE: &str = "SHOP_TEST_DATABASE_SERVER";

/// Longer than any request of a test may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a server that starts may take to let somebody in.
const CONNECT_BOUND: Duration = Duration::from_secs(5);

/// An empty database, gone with this value. Close what uses it first.
#[derive(Debug)]
pub struct TestDatabase {
    place: Place,
}

#[derive(Debug)]
enum Place {
    File { folder: TempDir, name: String },
    Server { server: String, name: String },
}

impl TestDatabase {
    /// A database for the service `service`, on the engine that is tested.
    pub async fn new(service: &str) -> Self {
        match std::env::var(SERVER_VARIABLE) {
            Ok(server) => Self::on(&server, service).await,
            Err(_) => Self { place: Place::File { folder: tempfile::tempdir().unwrap(), name: service.to_owned() } },
        }
    }

    /// A database on this server.
    pub async fn on(server: &str, service: &str) -> Self {
        let name = format!("{service}_{}", Uuid::new_v4().simple());
        execute(server, &format!("CREATE DATABASE {name}")).await;
        Self { place: Place::Server { server: server.to_owned(), name } }
    }

    /// The kind of engine.
    pub fn backend(&self) -> DbBackend {
        match &self.place {
            Place::File { .. } => DbBackend::Sqlite,
            Place::Server { server, .. } if server.starts_with("postgres") => DbBackend::Postgres,
            Place::Server { .. } => DbBackend::MySql,
        }
    }

    /// The SQLite file, where it is one.
    pub fn file(&self) -> Option<PathBuf> {
        match &self.place {
            Place::File { folder, name } => Some(file_in(folder.path(), name)),
            Place::Server { .. } => None,
        }
    }

    /// The database's URL.
    pub fn url(&self) -> String {
        match &self.place {
            Place::File { folder, name } => format!("sqlite:{}", file_in(folder.path(), name).display()),
            Place::Server { server, name } => with_database(server, name),
        }
    }

    /// What a service is started with: patient, since the machine that tests may be busy with many of them.
    pub fn options(&self) -> DatabaseOptions {
        DatabaseOptions {
            database_acquire_timeout: PATIENCE,
            database_statement_timeout: PATIENCE,
            database_lock_timeout: PATIENCE,
            ..DatabaseOptions::at(SecretString::from(self.url()))
        }
    }

    /// A connection beside those of the services: another replica, an operator, or time that passes.
    pub async fn connect(&self) -> DatabaseConnection {
        connect(&self.url()).await
    }

    /// Changes the database behind everyone's back; how many rows.
    pub async fn execute(&self, sql: &str) -> u64 {
        execute(&self.url(), sql).await
    }

    /// What a `SELECT count(*) AS n …` counts.
    pub async fn count(&self, sql: &str) -> i64 {
        let connection = self.connect().await;
        let row = connection.query_one_raw(Statement::from_string(self.backend(), sql)).await.unwrap().unwrap();
        connection.close().await.unwrap();
        row.try_get("", "n").unwrap()
    }

    /// How an id is written in this engine's SQL.
    pub fn id(&self, id: Uuid) -> String {
        match self.backend() {
            DbBackend::Postgres => format!("'{id}'::uuid"),
            _ => format!("X'{}'", id.simple()),
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Place::Server { server, name } = &self.place else { return };
        let (server, own) = (server.clone(), name.clone());
        // A thread of its own, since the test's runtime can't be waited on from within.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(drop_database(&server, &own));
        });
        assert!(dropped.join().is_ok() || std::thread::panicking(), "the database {name} can't be dropped");
    }
}

fn file_in(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.db"))
}

/// The URL of another database of the same server.
fn with_database(server: &str, name: &str) -> String {
    let (address, parameters) = server.split_once('?').unwrap_or((server, ""));
    let (scheme, rest) = address.split_once("://").unwrap();
    let authority = rest.split('/').next().unwrap();
    format!("{scheme}://{authority}/{name}?{parameters}")
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    sea_orm::Database::connect(options).await.unwrap()
}

/// Whether a server lets anybody in, and answers.
pub(crate) async fn answers(url: &str) -> bool {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false).acquire_timeout(CONNECT_BOUND);
    let Ok(connection) = sea_orm::Database::connect(options).await else { return false };
    connection.ping().await.is_ok() && connection.close().await.is_ok()
}

/// Drops a database with the connections to it: what a test left open can't be waited for while the test ends.
async fn drop_database(server: &str, name: &str) {
    let connection = connect(server).await;
    let drop = if connection.get_database_backend() == DbBackend::Postgres {
        format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    } else {
        let open = format!("SELECT id FROM information_schema.processlist WHERE db = '{name}'");
        for row in connection.query_all_raw(Statement::from_string(DbBackend::MySql, open)).await.unwrap() {
            let id: i64 = row.try_get("", "id").unwrap();
            // One that has just ended can't be.
            let _gone = connection.execute_unprepared(&format!("KILL {id}")).await;
        }
        connection.execute_unprepared("SET SESSION lock_wait_timeout = 20").await.unwrap();
        format!("DROP DATABASE IF EXISTS {name}")
    };
    connection.execute_unprepared(&drop).await.unwrap();
    connection.close().await.unwrap();
}

async fn execute(url: &str, sql: &str) -> u64 {
    let connection = connect(url).await;
    let done = connection.execute_unprepared(sql).await.unwrap();
    connection.close().await.unwrap();
    done.rows_affected()
}
