//! Migrations, and which binaries may run on which schema.
//!
//! A database stores the schema it has and the oldest binary that schema still serves; a binary knows the range it works
//! with. `up` only expands, so that binaries of the release before go on running; `contract` ends that, and is the point
//! of no return. `serve` only checks: it never asks sea-orm-migration, which fails on a migration that a newer binary
//! left behind.

mod lock;
mod step;

use std::{cmp, time::Duration};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, TransactionTrait as _,
    sea_query::{Alias, Expr, ExprTrait as _, OnConflict, Query, Table},
};
use sea_orm_migration::{IntoSchemaManagerConnection, MigratorTrait, prelude::ColumnDef};

use self::lock::Lock;
pub use self::step::{Change, Step, sorted_by_bytes, steps};
use crate::{Database, StorageError, fault::Fault};

const TABLE: &str = "schema_info";
/// The table has one row.
const ROW: i32 = 1;
/// How often a change of a table that is in use is tried: each time it waits for the lock time-out.
const LOCK_ATTEMPTS: u32 = 20;
/// The pause between, in which everyone who waited behind the change goes on.
const LOCK_PAUSE: Duration = Duration::from_secs(1);

/// The schemas a binary works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaRange {
    /// The oldest schema this binary can serve from.
    pub oldest_ok: i32,
    /// The schema this binary's migrations make.
    pub newest: i32,
}

/// What a database says of its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaStatus {
    /// The schema it has.
    pub schema_version: i32,
    /// The oldest binary (by its `newest`) that the schema still serves.
    pub compatible_from: i32,
}

impl SchemaRange {
    /// Whether this binary may serve from a database.
    pub fn check(self, status: SchemaStatus) -> Result<(), StorageError> {
        let advice = if status.schema_version < self.oldest_ok {
            "run this version's `migrate up`"
        } else if status.compatible_from > self.newest {
            "run a newer version: the database can't go back"
        } else {
            return Ok(());
        };
        Err(StorageError::Incompatible {
            schema_version: status.schema_version,
            compatible_from: status.compatible_from,
            oldest_ok: self.oldest_ok,
            newest: self.newest,
            advice,
        })
    }
}

/// Applies the migrations the database lacks. Repeating it, also after a crash half-way, is harmless; a database that is
/// further already stays as it is. On a server one migration runs at a time, and others wait for it.
pub async fn up<M: MigratorTrait>(database: &Database, range: SchemaRange) -> Result<SchemaStatus, StorageError> {
    exclusively(database, async |connection| match connection {
        // SQLite changes schemas in transactions: all of it happens or nothing, with one flush instead of one a migration.
        Exclusive::File(connection) => {
            let transaction = connection.begin().await?;
            let status = apply::<M, _>(&transaction, range).await?;
            transaction.commit().await?;
            Ok(status)
        }
        Exclusive::Server(connection) => {
            for _ in 1..LOCK_ATTEMPTS {
                match apply::<M, _>(connection, range).await {
                    // Somebody works on the table. To wait on would make everyone wait behind the change.
                    Err(error) if error.fault() == Some(Fault::Conflict) => {
                        tracing::warn!(error = %error, "a table is in use; its change waits");
                        tokio::time::sleep(LOCK_PAUSE).await;
                    }
                    applied => return applied,
                }
            }
            apply::<M, _>(connection, range).await
        }
    })
    .await
}

/// Ends the compatibility with binaries older than this one. They don't start on the database again.
pub async fn contract(database: &Database, range: SchemaRange) -> Result<SchemaStatus, StorageError> {
    exclusively(database, async |connection| {
        let (Exclusive::File(connection) | Exclusive::Server(connection)) = connection;
        let found = status(connection).await?;
        SchemaRange { oldest_ok: range.newest, ..range }.check(found)?;
        let contracted = SchemaStatus { compatible_from: cmp::max(found.compatible_from, range.newest), ..found };
        store(connection, contracted).await?;
        Ok(contracted)
    })
    .await
}

/// What the database says of its schema; [`StorageError::NotMigrated`] when it has none.
pub async fn status(connection: &impl ConnectionTrait) -> Result<SchemaStatus, StorageError> {
    let mut exists = Query::select().expr(Expr::val(1)).to_owned();
    match connection.get_database_backend() {
        DbBackend::Sqlite => exists.from("sqlite_master").and_where(Expr::col("name").eq(TABLE)),
        backend => exists
            .from(("information_schema", "tables"))
            .and_where(Expr::col("table_name").eq(TABLE))
            .and_where(Expr::col("table_schema").eq(Expr::cust(match backend {
                DbBackend::Postgres => "current_schema()",
                _ => "DATABASE()",
            }))),
    };
    if connection.query_one(&exists).await?.is_none() {
        return Err(StorageError::NotMigrated);
    }
    stored(connection).await?.ok_or(StorageError::NotMigrated)
}

/// Whether this binary may serve from the database.
pub async fn check(database: &Database, range: SchemaRange) -> Result<(), StorageError> {
    range.check(status(database.reader()).await?)
}

/// A connection that changes the schema while no other migration does.
enum Exclusive<'a> {
    File(&'a DatabaseConnection),
    Server(&'a DatabaseConnection),
}

/// A SQLite file is one process's, and there its one connection is enough.
async fn exclusively<T>(
    database: &Database,
    work: impl AsyncFnOnce(Exclusive<'_>) -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    let Some(locking) = database.migration_connection() else {
        return work(Exclusive::File(database.writing())).await;
    };
    let lock = Lock::take(locking).await?;
    let connection = database.migration_connection().unwrap_or_else(|| database.writing().clone());
    let done = work(Exclusive::Server(&connection)).await;
    connection.close().await?;
    lock.release().await?;
    done
}

async fn apply<'c, M, C>(connection: &'c C, range: SchemaRange) -> Result<SchemaStatus, StorageError>
where
    M: MigratorTrait,
    C: ConnectionTrait,
    &'c C: IntoSchemaManagerConnection<'c>,
{
    create_table(connection).await?;
    let found = stored(connection).await?;
    if let Some(found) = found {
        // An older schema is what this is for; only one that left this binary behind is refused.
        range.check(SchemaStatus { schema_version: cmp::max(found.schema_version, range.oldest_ok), ..found })?;
        if found.schema_version >= range.newest {
            return Ok(found);
        }
    }
    M::up(connection, None).await?;
    let status = SchemaStatus {
        schema_version: range.newest,
        // A new database has no past to be compatible with.
        compatible_from: found.map_or(range.newest, |found| found.compatible_from),
    };
    store(connection, status).await?;
    Ok(status)
}

async fn create_table(connection: &impl ConnectionTrait) -> Result<(), StorageError> {
    let table = Table::create()
        .table(TABLE)
        .if_not_exists()
        .col(ColumnDef::new(Alias::new("id")).integer().not_null().primary_key())
        .col(ColumnDef::new(Alias::new("schema_version")).integer().not_null())
        .col(ColumnDef::new(Alias::new("compatible_from")).integer().not_null())
        .to_owned();
    connection.execute(&table).await?;
    Ok(())
}

async fn stored(connection: &impl ConnectionTrait) -> Result<Option<SchemaStatus>, StorageError> {
    let query = Query::select()
        .columns(["schema_version", "compatible_from"])
        .from(TABLE)
        .and_where(Expr::col("id").eq(ROW))
        .to_owned();
    let Some(row) = connection.query_one(&query).await? else { return Ok(None) };
    Ok(Some(SchemaStatus {
        schema_version: row.try_get("", "schema_version")?,
        compatible_from: row.try_get("", "compatible_from")?,
    }))
}

async fn store(connection: &impl ConnectionTrait, status: SchemaStatus) -> Result<(), StorageError> {
    let upsert = Query::insert()
        .into_table(TABLE)
        .columns(["id", "schema_version", "compatible_from"])
        .values_panic([ROW.into(), status.schema_version.into(), status.compatible_from.into()])
        .on_conflict(OnConflict::column("id").update_columns(["schema_version", "compatible_from"]).to_owned())
        .to_owned();
    connection.execute(&upsert).await?;
    Ok(())
}
