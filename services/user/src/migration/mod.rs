//! The schema of user's database, step by step. A step that was released is never edited.
//!
//! One DDL statement a step, because MySQL commits each on its own: a step that fails is then wholly undone or wholly
//! done.

mod accounts;
mod logins;
mod revocations;

use sea_orm_migration::{
    MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait,
    prelude::{IndexCreateStatement, InsertStatement, TableCreateStatement},
    sea_orm::{ConnectionTrait as _, DbErr},
};
use shop_storage::SchemaRange;

/// The schemas this binary works with: `newest` is the one its migrations make.
pub(crate) const SCHEMA: SchemaRange = SchemaRange { oldest_ok: 1, newest: 1 };

/// User's migrations.
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let steps = [
            Step { name: "m0001_users", change: || Change::Table(accounts::users()) },
            Step { name: "m0002_users_email", change: || Change::Index(accounts::users_email()) },
            Step { name: "m0003_users_role", change: || Change::Index(accounts::users_role()) },
            Step { name: "m0004_addresses", change: || Change::Table(accounts::addresses()) },
            Step { name: "m0005_addresses_user", change: || Change::Index(accounts::addresses_user()) },
            Step { name: "m0006_sessions", change: || Change::Table(accounts::sessions()) },
            Step { name: "m0007_sessions_user", change: || Change::Index(accounts::sessions_user()) },
            Step { name: "m0008_sessions_expiry", change: || Change::Index(accounts::sessions_expiry()) },
            Step { name: "m0009_login_failures", change: || Change::Table(logins::failures()) },
            Step { name: "m0010_login_failures_account", change: || Change::Index(logins::failures_account()) },
            Step { name: "m0011_login_failures_address", change: || Change::Index(logins::failures_address()) },
            Step { name: "m0012_login_failures_time", change: || Change::Index(logins::failures_time()) },
            Step { name: "m0013_login_addresses", change: || Change::Table(logins::addresses()) },
            Step { name: "m0014_login_addresses_time", change: || Change::Index(logins::addresses_time()) },
            Step { name: "m0015_revocations", change: || Change::Table(revocations::revocations()) },
            Step { name: "m0016_revocations_time", change: || Change::Index(revocations::revocations_time()) },
            Step { name: "m0017_revocation_counter", change: || Change::Table(revocations::counter()) },
            Step { name: "m0018_revocation_counter_row", change: || Change::Row(revocations::counter_row()) },
        ];
        steps.into_iter().map(|step| Box::new(step) as Box<dyn MigrationTrait>).collect()
    }
}

/// One statement with the name it is remembered by.
struct Step {
    name: &'static str,
    change: fn() -> Change,
}

enum Change {
    Table(TableCreateStatement),
    Index(IndexCreateStatement),
    Row(InsertStatement),
}

impl MigrationName for Step {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match (self.change)() {
            Change::Table(table) => manager.create_table(table).await,
            Change::Index(index) => manager.create_index(index).await,
            Change::Row(row) => manager.get_connection().execute(&row).await.map(|_| ()),
        }
    }
}
