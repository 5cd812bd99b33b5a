//! Which binaries may run on which schema.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use sea_orm_migration::{MigrationTrait, MigratorTrait, SchemaManager, async_trait, prelude::*};
use shop_storage::{Database, SchemaRange, StorageError, migrate};

use crate::Fixture;

struct CreateTable(&'static str);

impl MigrationName for CreateTable {
    fn name(&self) -> &str {
        self.0
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateTable {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create().table(self.0).col(ColumnDef::new("id").integer().primary_key()).to_owned();
        manager.create_table(table).await
    }
}

/// The first release.
pub(crate) struct First;

impl MigratorTrait for First {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(CreateTable("m1"))]
    }
}

/// The release after it, which expands the schema and still runs on the first one's.
pub(crate) struct Second;

impl MigratorTrait for Second {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(CreateTable("m1")), Box::new(CreateTable("m2"))]
    }
}

pub(crate) const FIRST: SchemaRange = SchemaRange { oldest_ok: 1, newest: 1 };
pub(crate) const SECOND: SchemaRange = SchemaRange { oldest_ok: 1, newest: 2 };

#[tokio::test]
async fn a_database_that_was_never_migrated_is_refused() {
    let fixture = Fixture::new().await;
    assert!(matches!(migrate::check(&fixture.database, FIRST).await, Err(StorageError::NotMigrated)));
    migrate::up::<First>(&fixture.database, FIRST).await.unwrap();
    migrate::check(&fixture.database, FIRST).await.unwrap();
}

#[tokio::test]
async fn an_old_binary_runs_on_an_expanded_schema_until_it_is_contracted() {
    let fixture = Fixture::new().await;
    let database = &fixture.database;
    migrate::up::<First>(database, FIRST).await.unwrap();
    migrate::check(database, SECOND).await.unwrap();
    let expanded = migrate::up::<Second>(database, SECOND).await.unwrap();
    assert_eq!((expanded.schema_version, expanded.compatible_from), (2, 1));

    // An old pod that restarts now, and even its `migrate up`, finds nothing wrong.
    migrate::check(database, FIRST).await.unwrap();
    assert_eq!(migrate::up::<First>(database, FIRST).await.unwrap(), expanded);

    let contracted = migrate::contract(database, SECOND).await.unwrap();
    assert_eq!((contracted.schema_version, contracted.compatible_from), (2, 2));
    migrate::check(database, SECOND).await.unwrap();
    for refused in [migrate::check(database, FIRST).await, migrate::up::<First>(database, FIRST).await.map(drop)] {
        assert!(matches!(refused, Err(StorageError::Incompatible { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn contract_comes_after_up() {
    let fixture = Fixture::new().await;
    migrate::up::<First>(&fixture.database, FIRST).await.unwrap();
    let early = migrate::contract(&fixture.database, SECOND).await;
    assert!(matches!(early, Err(StorageError::Incompatible { .. })), "{early:?}");
    migrate::check(&fixture.database, FIRST).await.unwrap();
}

/// Migrations that take their time, and count themselves.
struct Slow;

static BEGUN: AtomicU32 = AtomicU32::new(0);

struct SlowTable(&'static str);

impl MigrationName for SlowTable {
    fn name(&self) -> &str {
        self.0
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SlowTable {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        BEGUN.fetch_add(1, Ordering::SeqCst);
        // Time in which another would come in between, were it not kept out.
        tokio::time::sleep(Duration::from_millis(200)).await;
        CreateTable(self.0).up(manager).await
    }
}

impl MigratorTrait for Slow {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(SlowTable("s1")), Box::new(SlowTable("s2")), Box::new(SlowTable("s3"))]
    }
}

#[tokio::test]
async fn of_migrations_at_once_one_does_the_work_and_the_others_wait_for_it() {
    let fixture = Fixture::new().await;
    let mut databases = vec![fixture.database.clone()];
    // A SQLite file is one process's; a process asks its database only once, but could do so twice.
    if !fixture.is_sqlite() {
        for _ in 0..3 {
            databases.push(Database::open("test", &fixture.own.options()).await.unwrap());
        }
    }
    let range = SchemaRange { oldest_ok: 1, newest: 3 };
    let all = databases.iter().map(|database| migrate::up::<Slow>(database, range));
    for status in futures::future::join_all(all).await {
        let status = status.unwrap();
        assert_eq!((status.schema_version, status.compatible_from), (3, 3));
    }
    assert_eq!(BEGUN.load(Ordering::SeqCst), 3);
    for database in databases {
        database.close().await.unwrap();
    }
}

/// As after a crash between a change and the note that it was made.
#[tokio::test]
async fn a_migration_that_was_broken_off_goes_on() {
    let fixture = Fixture::new().await;
    migrate::up::<First>(&fixture.database, FIRST).await.unwrap();
    migrate::up::<Second>(&fixture.database, SECOND).await.unwrap();
    fixture.own.execute("UPDATE schema_info SET schema_version = 1").await;
    let again = migrate::up::<Second>(&fixture.database, SECOND).await.unwrap();
    assert_eq!((again.schema_version, again.compatible_from), (2, 1));
}
