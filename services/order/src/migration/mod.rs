//! The schema of order's database, step by step. A step that was released is never edited.
//!
//! One DDL statement a step, because MySQL commits each on its own: a step that fails is then wholly undone or wholly
//! done.

mod events;
mod money;
mod orders;
mod sagas;

use sea_orm_migration::{
    MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait,
    prelude::{ForeignKey, ForeignKeyCreateStatement, IndexCreateStatement, TableCreateStatement},
    sea_orm::DbErr,
};
use shop_storage::SchemaRange;

/// The schemas this binary works with: `newest` is the one its migrations make.
pub(crate) const SCHEMA: SchemaRange = SchemaRange { oldest_ok: 1, newest: 1 };

/// Order's migrations.
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let steps = [
            Step { name: "m0001_orders", ddl: || Ddl::Table(Box::new(orders::orders())) },
            Step { name: "m0002_orders_user", ddl: || Ddl::Index(Box::new(orders::orders_by("user_id", "id"))) },
            Step { name: "m0003_orders_status", ddl: || Ddl::Index(Box::new(orders::orders_by("status", "id"))) },
            Step {
                name: "m0004_orders_expiry",
                ddl: || Ddl::Index(Box::new(orders::orders_by("status", "expires_at"))),
            },
            Step { name: "m0005_order_items", ddl: || Ddl::Table(Box::new(orders::items())) },
            Step { name: "m0006_order_history", ddl: || Ddl::Table(Box::new(orders::history())) },
            Step { name: "m0007_idempotency_keys", ddl: || Ddl::Table(Box::new(orders::keys())) },
            Step { name: "m0008_idempotency_keys_age", ddl: || Ddl::Index(Box::new(orders::keys_age())) },
            Step { name: "m0009_sagas", ddl: || Ddl::Table(Box::new(sagas::sagas())) },
            Step { name: "m0010_sagas_due", ddl: || Ddl::Index(Box::new(sagas::sagas_due())) },
            Step { name: "m0011_payments", ddl: || Ddl::Table(Box::new(money::payments())) },
            Step { name: "m0012_payments_order", ddl: || Ddl::Index(Box::new(money::by_order("payments"))) },
            Step { name: "m0013_refunds", ddl: || Ddl::Table(Box::new(money::refunds())) },
            Step { name: "m0014_refunds_order", ddl: || Ddl::Index(Box::new(money::by_order("refunds"))) },
            Step { name: "m0015_refund_dues", ddl: || Ddl::Table(Box::new(money::dues())) },
            Step { name: "m0016_payment_notices", ddl: || Ddl::Table(Box::new(money::notices())) },
            Step { name: "m0017_outbox", ddl: || Ddl::Table(Box::new(events::outbox())) },
            Step { name: "m0018_outbox_sent", ddl: || Ddl::Index(Box::new(events::outbox_sent())) },
            Step { name: "m0019_deliveries", ddl: || Ddl::Table(Box::new(events::deliveries())) },
            Step { name: "m0020_deliveries_due", ddl: || Ddl::Index(Box::new(events::deliveries_due())) },
            Step { name: "m0021_idempotency_keys_order", ddl: || Ddl::Index(Box::new(orders::keys_order())) },
        ];
        steps.into_iter().map(|step| Box::new(step) as Box<dyn MigrationTrait>).collect()
    }
}

/// One DDL statement with the name it is remembered by.
struct Step {
    name: &'static str,
    ddl: fn() -> Ddl,
}

enum Ddl {
    Table(Box<TableCreateStatement>),
    Index(Box<IndexCreateStatement>),
}

impl MigrationName for Step {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match (self.ddl)() {
            Ddl::Table(table) => manager.create_table(*table).await,
            Ddl::Index(index) => manager.create_index(*index).await,
        }
    }
}

/// The reference of a table's `order_id`.
fn to_order(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().name(format!("{table}_order")).from(table, "order_id").to("orders", "id").to_owned()
}
