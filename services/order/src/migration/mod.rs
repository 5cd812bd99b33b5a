//! The schema of order's database, step by step. A step that was released is never edited.
//!
//! One DDL statement a step, because MySQL commits each on its own: a step that fails is then wholly undone or wholly
//! done.

mod events;
mod money;
mod orders;
mod sagas;

use sea_orm_migration::{
    MigrationTrait, MigratorTrait,
    prelude::{ForeignKey, ForeignKeyCreateStatement},
};
use shop_storage::{
    SchemaRange,
    migrate::{Step, steps},
};

/// The schemas this binary works with: `newest` is the one its migrations make.
pub(crate) const SCHEMA: SchemaRange = SchemaRange { oldest_ok: 1, newest: 1 };

/// Order's migrations.
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        steps([
            Step { name: "m0001_orders", change: |_| orders::orders().into() },
            Step { name: "m0002_orders_user", change: |_| orders::orders_by("user_id", "id").into() },
            Step { name: "m0003_orders_status", change: |_| orders::orders_by("status", "id").into() },
            Step { name: "m0004_orders_expiry", change: |_| orders::orders_by("status", "expires_at").into() },
            Step { name: "m0005_order_items", change: |_| orders::items().into() },
            Step { name: "m0006_order_history", change: |_| orders::history().into() },
            Step { name: "m0007_idempotency_keys", change: |_| orders::keys().into() },
            Step { name: "m0008_idempotency_keys_age", change: |_| orders::keys_age().into() },
            Step { name: "m0009_sagas", change: |_| sagas::sagas().into() },
            Step { name: "m0010_sagas_due", change: |_| sagas::sagas_due().into() },
            Step { name: "m0011_payments", change: |_| money::payments().into() },
            Step { name: "m0012_payments_order", change: |_| money::by_order("payments").into() },
            Step { name: "m0013_refunds", change: |_| money::refunds().into() },
            Step { name: "m0014_refunds_order", change: |_| money::by_order("refunds").into() },
            Step { name: "m0015_refund_dues", change: |_| money::dues().into() },
            Step { name: "m0016_payment_notices", change: |backend| money::notices(backend).into() },
            Step { name: "m0017_outbox", change: |_| events::outbox().into() },
            Step { name: "m0018_outbox_sent", change: |_| events::outbox_sent().into() },
            Step { name: "m0019_deliveries", change: |_| events::deliveries().into() },
            Step { name: "m0020_deliveries_due", change: |_| events::deliveries_due().into() },
            Step { name: "m0021_idempotency_keys_order", change: |_| orders::keys_order().into() },
        ])
    }
}

/// The reference of a table's `order_id`.
fn to_order(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().name(format!("{table}_order")).from(table, "order_id").to("orders", "id").to_owned()
}
