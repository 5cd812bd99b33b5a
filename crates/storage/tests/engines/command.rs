//! `migrate up` as it is run beside a service: what it reports, and the copy it keeps of a file.

use std::{fs, path::Path};

use clap::Parser;
use sea_orm::{ConnectionTrait as _, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait, SchemaManager, async_trait, prelude::*};
use shop_storage::{DatabaseOptions, MigrateCommand, SchemaRange, StorageError, open_reader};
use shop_testing::TestDatabase;

use crate::migrations::{FIRST, First, SECOND, Second};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: MigrateCommand,
}

/// A release whose migration changes the file for good, and then fails.
struct Broken;

#[derive(DeriveMigrationName)]
struct LeavesItsTransaction;

#[async_trait::async_trait]
impl MigrationTrait for LeavesItsTransaction {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        connection.execute_unprepared("CREATE TABLE half (id INTEGER); COMMIT; BEGIN").await?;
        connection.execute_unprepared("SELECT nothing FROM nowhere").await?;
        Ok(())
    }
}

impl MigratorTrait for Broken {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let mut all = First::migrations();
        all.push(Box::new(LeavesItsTransaction));
        all
    }
}

async fn run<M: MigratorTrait>(own: &TestDatabase, range: SchemaRange, args: &[&str]) -> Result<(), StorageError> {
    let url = own.url();
    let args = ["test"].into_iter().chain(args.iter().copied()).chain(["--database-url", &url]);
    Cli::parse_from(args).command.run::<M>("test", range).await
}

async fn tables(options: &DatabaseOptions) -> Vec<String> {
    let connection = open_reader("test", options).await.unwrap();
    let statement =
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('m1', 'm2', 'half') ORDER BY name";
    let rows = connection.query_all_raw(Statement::from_string(connection.get_database_backend(), statement)).await;
    let rows = rows.unwrap();
    connection.close().await.unwrap();
    rows.into_iter().map(|row| row.try_get("", "name").unwrap()).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn the_schema_is_reported_to_a_file() {
    let own = TestDatabase::new("test").await;
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    // As a termination log: there already, and not empty.
    fs::write(&report, "what stood there before, which is longer than what is written").unwrap();
    for command in ["up", "status"] {
        run::<First>(&own, FIRST, &[command, "--report", text(&report)]).await.unwrap();
        assert_eq!(fs::read_to_string(&report).unwrap().trim_end(), r#"{"schema_version":1,"compatible_from":1}"#);
    }
    run::<Second>(&own, SECOND, &["up", "--report", text(&report)]).await.unwrap();
    assert_eq!(fs::read_to_string(&report).unwrap().trim_end(), r#"{"schema_version":2,"compatible_from":1}"#);
    run::<Second>(&own, SECOND, &["contract", "--report", text(&report)]).await.unwrap();
    assert_eq!(fs::read_to_string(&report).unwrap().trim_end(), r#"{"schema_version":2,"compatible_from":2}"#);
    let nowhere = folder.path().join("no such folder/report");
    let refused = run::<Second>(&own, SECOND, &["up", "--report", text(&nowhere)]).await;
    assert!(matches!(refused, Err(StorageError::File { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_file_is_copied_before_an_older_schema_is_changed() {
    let own = TestDatabase::new("test").await;
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("it's the copy");
    if own.backend() != sea_orm::DbBackend::Sqlite {
        let refused = run::<First>(&own, FIRST, &["up", "--keep-copy", text(&copy)]).await;
        assert!(matches!(refused, Err(StorageError::NoFile)), "{refused:?}");
        return;
    }
    // There is nothing to copy yet, and then nothing to change.
    for _ in 0..2 {
        run::<First>(&own, FIRST, &["up", "--keep-copy", text(&copy)]).await.unwrap();
        assert!(!copy.exists());
    }
    run::<Second>(&own, SECOND, &["up", "--keep-copy", text(&copy)]).await.unwrap();
    assert_eq!(tables(&own.options()).await, ["m1", "m2"]);
    assert_eq!(tables(&DatabaseOptions::sqlite_file(&copy)).await, ["m1"]);
    // An older binary that comes back leaves both alone.
    let copied = fs::read(&copy).unwrap();
    run::<First>(&own, FIRST, &["up", "--keep-copy", text(&copy)]).await.unwrap();
    assert_eq!(fs::read(&copy).unwrap(), copied);
}

#[tokio::test]
async fn a_change_that_fails_leaves_the_file_as_it_was() {
    let own = TestDatabase::new("test").await;
    if own.backend() != sea_orm::DbBackend::Sqlite {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    run::<First>(&own, FIRST, &["up"]).await.unwrap();
    // Without a copy half of it stays: that is what the copy is for.
    let args = ["up", "--keep-copy", text(&copy)];
    let failed = run::<Broken>(&own, SECOND, &args).await;
    assert!(matches!(failed, Err(StorageError::Database(_))), "{failed:?}");
    assert_eq!(tables(&own.options()).await, ["m1"]);
    run::<First>(&own, FIRST, &["status"]).await.unwrap();
    // What is corrected goes on from there.
    run::<Second>(&own, SECOND, &args).await.unwrap();
    assert_eq!(tables(&own.options()).await, ["m1", "m2"]);
}
