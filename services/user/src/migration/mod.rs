//! The schema of user's database, step by step. A step that was released is never edited.
//!
//! One DDL statement a step, because MySQL commits each on its own: a step that fails is then wholly undone or wholly
//! done.

mod accounts;
mod logins;
mod revocations;

use sea_orm_migration::{MigrationTrait, MigratorTrait};
use shop_storage::{
    SchemaRange,
    migrate::{Step, steps},
};

/// The schemas this binary works with: `newest` is the one its migrations make.
pub(crate) const SCHEMA: SchemaRange = SchemaRange { oldest_ok: 1, newest: 1 };

/// User's migrations.
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        steps([
            Step { name: "m0001_users", change: |_| accounts::users().into() },
            Step { name: "m0002_users_email", change: |_| accounts::users_email().into() },
            Step { name: "m0003_users_role", change: |_| accounts::users_role().into() },
            Step { name: "m0004_addresses", change: |_| accounts::addresses().into() },
            Step { name: "m0005_addresses_user", change: |_| accounts::addresses_user().into() },
            Step { name: "m0006_sessions", change: |_| accounts::sessions().into() },
            Step { name: "m0007_sessions_user", change: |_| accounts::sessions_user().into() },
            Step { name: "m0008_sessions_expiry", change: |_| accounts::sessions_expiry().into() },
            Step { name: "m0009_login_failures", change: |_| logins::failures().into() },
            Step { name: "m0010_login_failures_account", change: |_| logins::failures_account().into() },
            Step { name: "m0011_login_failures_address", change: |_| logins::failures_address().into() },
            Step { name: "m0012_login_failures_time", change: |_| logins::failures_time().into() },
            Step { name: "m0013_login_addresses", change: |_| logins::addresses().into() },
            Step { name: "m0014_login_addresses_time", change: |_| logins::addresses_time().into() },
            Step { name: "m0015_revocations", change: |_| revocations::revocations().into() },
            Step { name: "m0016_revocations_time", change: |_| revocations::revocations_time().into() },
            Step { name: "m0017_revocation_counter", change: |_| revocations::counter().into() },
            Step { name: "m0018_revocation_counter_row", change: |_| revocations::counter_row().into() },
            Step { name: "m0019_login_locks", change: |_| logins::locks().into() },
            Step { name: "m0020_login_locks_rows", change: |_| logins::locks_rows().into() },
        ])
    }
}
