//! A database server: bounded pools of connections with time-outs on both sides, and the wait for one that is not there.
//!
//! The server ends a statement that takes too long or waits too long for a lock. What the server can't end, because it
//! hangs or its host is gone, ends here: no statement, commit or return of a connection is waited for without a bound.
//!
//! sqlx would ask a connection whether it lives before each use, a round trip each. It is not asked: whoever finds it dead
//! takes another one (see [`crate::reader`] and [`crate::transactions`]).

use std::{io::ErrorKind, sync::Arc, time::Duration};

use sea_orm::{
    DatabaseConnection, DbErr, RuntimeErr, SqlxMySqlConnector, SqlxPostgresConnector,
    sqlx::{
        self, ConnectOptions as _, Connection as _, Executor as _, Row as _,
        mysql::{MySqlConnectOptions, MySqlConnection, MySqlPoolOptions},
        pool::PoolOptions,
        postgres::{PgConnectOptions, PgConnection, PgPoolOptions},
    },
};
use tokio::time::Instant;

use crate::{DatabaseOptions, StorageError, fault::Fault, url::Server};

/// A connection that nobody used for so long is closed: the server has its memory back.
const IDLE_BOUND: Duration = Duration::from_mins(10);
/// The same of one that writes to MySQL, which is closed by us before [`MYSQL_SILENCE_BOUND`] has it closed there.
const MYSQL_IDLE_BOUND: Duration = Duration::from_secs(30);
/// A connection is renewed after this, so that what changed at the server (its address, its memory) reaches everyone.
const LIFE_BOUND: Duration = Duration::from_mins(30);
/// What is left of an abandoned statement may take this long; else the connection is closed rather than used again.
const REST_BOUND: Duration = Duration::from_secs(5);
/// A process that stalls in the middle of a transaction holds its locks no longer than this: its machine may have lost power,
/// and said nothing.
const STALLED_TRANSACTION_BOUND: Duration = Duration::from_secs(30);
/// MySQL has no such bound, but one for whoever says nothing at all.
const MYSQL_SILENCE_BOUND: Duration = Duration::from_mins(1);
/// A first attempt to reach the server may take this long.
const CONNECT_BOUND: Duration = Duration::from_secs(5);
/// The pause between two attempts.
const CONNECT_PAUSE: Duration = Duration::from_millis(500);
/// How often the wait is logged, in attempts.
const ATTEMPTS_PER_LINE: u32 = 20;

/// What a pool is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Read,
    Write,
    /// Schema changes take as long as they take, but don't make everyone else wait behind them for a lock.
    Migrate,
}

/// Connections to a server, made when they are needed.
pub(crate) fn pool(server: &Server, purpose: Purpose, options: &DatabaseOptions) -> DatabaseConnection {
    match server {
        Server::Postgres(connect) => {
            let connect = postgres_options(connect, purpose, options);
            let pool: PgPoolOptions = bounded(purpose, options);
            let pool = pool.after_release(|connection, _| Box::pin(comes_to_rest(postgres_refuses_writes(connection))));
            SqlxPostgresConnector::from_sqlx_postgres_pool(pool.connect_lazy_with(connect))
        }
        Server::MySql(connect) => {
            let session = mysql_session(purpose, options);
            let mut pool: MySqlPoolOptions = bounded(purpose, options);
            if purpose == Purpose::Write {
                pool = pool.idle_timeout(MYSQL_IDLE_BOUND);
            }
            let pool = pool.after_release(|connection, _| Box::pin(comes_to_rest(mysql_refuses_writes(connection))));
            let pool = pool.after_connect(move |connection, _| {
                let session = sqlx::AssertSqlSafe(session.clone());
                Box::pin(async move { connection.execute(session).await.map(drop) })
            });
            SqlxMySqlConnector::from_sqlx_mysql_pool(pool.connect_lazy_with(mysql_options(connect)))
        }
    }
}

fn bounded<DB: sqlx::Database>(purpose: Purpose, options: &DatabaseOptions) -> PoolOptions<DB> {
    let connections = match purpose {
        Purpose::Read => options.database_readers,
        Purpose::Write => options.database_writers,
        Purpose::Migrate => 1,
    };
    PoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(options.database_acquire_timeout)
        .test_before_acquire(false)
        .idle_timeout(IDLE_BOUND)
        .max_lifetime(LIFE_BOUND)
}

/// Whether a connection may be used again: its server still takes writes. One that was demoted need not end its
/// connections, and who is the primary now is found by connecting anew. A statement that was abandoned half-way is read to
/// its end first. sqlx would wait for that without a bound, and the place in the pool would be lost for as long as a dead
/// host is not given up by the kernel, a quarter of an hour.
async fn comes_to_rest(refuses_writes: impl Future<Output = Result<bool, sqlx::Error>>) -> Result<bool, sqlx::Error> {
    match tokio::time::timeout(REST_BOUND, refuses_writes).await {
        Ok(refuses) => Ok(!refuses?),
        Err(_elapsed) => Err(sqlx::Error::Io(ErrorKind::TimedOut.into())),
    }
}

async fn postgres_refuses_writes(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::raw_sql("SELECT pg_is_in_recovery()").fetch_one(connection).await?.try_get(0)
}

async fn mysql_refuses_writes(connection: &mut MySqlConnection) -> Result<bool, sqlx::Error> {
    sqlx::raw_sql("SELECT @@GLOBAL.read_only <> 0").fetch_one(connection).await?.try_get(0)
}

fn postgres_options(connect: &PgConnectOptions, purpose: Purpose, options: &DatabaseOptions) -> PgConnectOptions {
    let millis = |bound: Duration| bound.as_millis().to_string();
    let statement = match purpose {
        Purpose::Read | Purpose::Write => millis(options.database_statement_timeout),
        Purpose::Migrate => "0".to_owned(),
    };
    let stalled = match purpose {
        Purpose::Read | Purpose::Write => millis(STALLED_TRANSACTION_BOUND),
        Purpose::Migrate => "0".to_owned(),
    };
    let read_only = if purpose == Purpose::Read { "on" } else { "off" };
    connect.clone().disable_statement_logging().options([
        ("default_transaction_isolation", "read committed"),
        ("default_transaction_read_only", read_only),
        ("statement_timeout", &statement),
        ("lock_timeout", &millis(options.database_lock_timeout)),
        ("idle_in_transaction_session_timeout", &stalled),
        // A migration's lock goes with the machine that holds it: within a minute.
        ("tcp_keepalives_idle", "30"),
        ("tcp_keepalives_interval", "10"),
        ("tcp_keepalives_count", "3"),
        // The default, 4, is of disks with arms: with it a table is rather read as a whole than two in a hundred of its
        // rows by their index.
        ("random_page_cost", "1.1"),
    ])
}

/// Text is compared by bytes, as the tables do.
fn mysql_options(connect: &MySqlConnectOptions) -> MySqlConnectOptions {
    connect.clone().collation("utf8mb4_bin").disable_statement_logging()
}

/// The statements that a MySQL session begins with. MariaDB's and MySQL's names for time-outs differ (and MySQL's for a
/// statement holds for reads alone): each reads only the comment that is written for it.
fn mysql_session(purpose: Purpose, options: &DatabaseOptions) -> String {
    let lock = options.database_lock_timeout.as_secs().max(1);
    let access = if purpose == Purpose::Read { "READ ONLY" } else { "READ WRITE" };
    let statement = match purpose {
        Purpose::Read | Purpose::Write => options.database_statement_timeout,
        Purpose::Migrate => Duration::ZERO,
    };
    // Between two statements. A reader holds no locks, and a migration takes as long as it takes.
    let (stalled, silence) = match purpose {
        Purpose::Write => {
            let (stalled, silence) = (STALLED_TRANSACTION_BOUND.as_secs(), MYSQL_SILENCE_BOUND.as_secs());
            (format!(", SESSION idle_transaction_timeout = {stalled}"), format!(", SESSION wait_timeout = {silence}"))
        }
        Purpose::Read | Purpose::Migrate => (String::new(), String::new()),
    };
    format!(
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, {access}; \
         SET SESSION innodb_lock_wait_timeout = {lock}, SESSION lock_wait_timeout = {lock} \
         /*M! , SESSION max_statement_time = {} {stalled} */ /*!50708 , SESSION max_execution_time = {} {silence} */",
        statement.as_secs_f64(),
        statement.as_millis(),
    )
}

/// Waits until a server lets this process in, at most for `bound`, else for as long as it takes. A server that answers
/// and refuses (wrong password, no such database, a certificate that does not fit) is not waited for.
pub(crate) async fn wait_for(server: &Server, bound: Option<Duration>) -> Result<(), StorageError> {
    let begun = Instant::now();
    for attempt in 0_u32.. {
        let Err(source) = try_connect(server).await else { break };
        let source = DbErr::Conn(RuntimeErr::SqlxError(Arc::new(source)));
        if Fault::of(&source) == Fault::Wrong || bound.is_some_and(|bound| begun.elapsed() >= bound) {
            return Err(StorageError::Unreachable { server: server.place(), source: Arc::new(source) });
        }
        if attempt.is_multiple_of(ATTEMPTS_PER_LINE) {
            tracing::warn!(server.address = server.place(), error = %source, "waiting for the database");
        }
        tokio::time::sleep(CONNECT_PAUSE).await;
    }
    Ok(())
}

async fn try_connect(server: &Server) -> Result<(), sqlx::Error> {
    let attempt = async {
        match server {
            Server::Postgres(options) => options.connect().await?.close().await,
            Server::MySql(options) => options.connect().await?.close().await,
        }
    };
    match tokio::time::timeout(CONNECT_BOUND, attempt).await {
        Ok(connected) => connected,
        Err(_elapsed) => Err(sqlx::Error::Io(ErrorKind::TimedOut.into())),
    }
}
