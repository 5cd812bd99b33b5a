//! Which binaries may run on which schema.

use sea_orm_migration::{MigrationTrait, MigratorTrait, SchemaManager, async_trait, prelude::*};
use shop_storage::{SchemaRange, StorageError, migrate};

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
struct First;

impl MigratorTrait for First {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(CreateTable("m1"))]
    }
}

/// The release after it, which expands the schema and still runs on the first one's.
struct Second;

impl MigratorTrait for Second {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(CreateTable("m1")), Box::new(CreateTable("m2"))]
    }
}

const FIRST: SchemaRange = SchemaRange { oldest_ok: 1, newest: 1 };
const SECOND: SchemaRange = SchemaRange { oldest_ok: 1, newest: 2 };

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
