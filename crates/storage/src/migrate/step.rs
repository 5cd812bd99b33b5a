//! One statement of a migration, as every engine takes it.

use sea_orm::{ConnectionTrait as _, DbBackend, DbErr};
use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::{ColumnDef, IndexCreateStatement, InsertStatement, TableCreateStatement},
};

use crate::fault::already_done;

/// One statement with the name it is remembered by.
///
/// MySQL commits each change of a schema at once, before it can be noted that the step is done. After a crash between the
/// two the step runs again, and finds that what it makes is there.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The name, in the order of the steps.
    pub name: &'static str,
    /// What it changes.
    pub change: fn(DbBackend) -> Change,
}

/// A change of one statement.
#[derive(Debug)]
pub enum Change {
    /// A new table. On MySQL its text is compared by bytes.
    Table(Box<TableCreateStatement>),
    /// A new index.
    Index(Box<IndexCreateStatement>),
    /// A new row with a key of its own.
    Row(Box<InsertStatement>),
    /// What only this engine has. On MySQL it must be safe to repeat.
    Sql(String),
    /// The engine needs nothing here.
    Nothing,
}

impl From<TableCreateStatement> for Change {
    fn from(table: TableCreateStatement) -> Self {
        Self::Table(Box::new(table))
    }
}

impl From<IndexCreateStatement> for Change {
    fn from(index: IndexCreateStatement) -> Self {
        Self::Index(Box::new(index))
    }
}

impl From<InsertStatement> for Change {
    fn from(row: InsertStatement) -> Self {
        Self::Row(Box::new(row))
    }
}

/// The steps as a migrator hands them out.
pub fn steps(steps: impl IntoIterator<Item = Step>) -> Vec<Box<dyn MigrationTrait>> {
    steps.into_iter().map(|step| Box::new(step) as Box<dyn MigrationTrait>).collect()
}

/// A column of text that is sorted by its bytes, as SQLite and the tables of MySQL do of themselves. PostgreSQL would sort
/// by the database's locale, and pages would break where it differs.
pub fn sorted_by_bytes(column: &mut ColumnDef, backend: DbBackend) -> &mut ColumnDef {
    if backend == DbBackend::Postgres { column.extra(r#"COLLATE "C""#) } else { column }
}

impl MigrationName for Step {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let connection = manager.get_connection();
        let done = match (self.change)(backend) {
            Change::Table(mut table) => {
                if backend == DbBackend::MySql {
                    table.engine("InnoDB").character_set("utf8mb4").collate("utf8mb4_bin");
                }
                connection.execute(&*table).await
            }
            Change::Index(index) => connection.execute(&*index).await,
            Change::Row(row) => connection.execute(&*row).await,
            Change::Sql(sql) => connection.execute_unprepared(&sql).await,
            Change::Nothing => return Ok(()),
        };
        match done {
            Err(error) if !already_done(&error) => Err(error),
            _ => Ok(()),
        }
    }
}
