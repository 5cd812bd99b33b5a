//! The schema of product's database, step by step. A step that was released is never edited.
//!
//! One DDL statement a step, because MySQL commits each on its own: a step that fails is then wholly undone or wholly
//! done.

mod catalogue;
mod reservations;
mod stock;

use sea_orm_migration::{
    MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait,
    prelude::{IndexCreateStatement, TableCreateStatement},
    sea_orm::DbErr,
};
use shop_storage::SchemaRange;

/// The schemas this binary works with: `newest` is the one its migrations make.
pub(crate) const SCHEMA: SchemaRange = SchemaRange { oldest_ok: 1, newest: 1 };

/// Product's migrations.
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let steps = [
            Step { name: "m0001_products", ddl: Ddl::Table(catalogue::products) },
            Step { name: "m0002_products_slug", ddl: Ddl::Index(catalogue::products_slug) },
            Step { name: "m0003_products_newest", ddl: Ddl::Index(|| catalogue::products_by("created_at")) },
            Step { name: "m0004_products_price", ddl: Ddl::Index(|| catalogue::products_by("price_amount")) },
            Step { name: "m0005_products_name", ddl: Ddl::Index(|| catalogue::products_by("sort_name")) },
            Step { name: "m0006_slugs", ddl: Ddl::Table(catalogue::slugs) },
            Step { name: "m0007_stock", ddl: Ddl::Table(stock::stock) },
            Step { name: "m0008_stock_ledger", ddl: Ddl::Table(stock::ledger) },
            Step { name: "m0009_stock_ledger_key", ddl: Ddl::Index(stock::ledger_key) },
            Step { name: "m0010_stock_ledger_order", ddl: Ddl::Index(stock::ledger_order) },
            Step { name: "m0011_reservations", ddl: Ddl::Table(reservations::reservations) },
            Step { name: "m0012_reservations_lapse", ddl: Ddl::Index(reservations::reservations_lapse) },
            Step { name: "m0013_reservation_lines", ddl: Ddl::Table(reservations::lines) },
        ];
        steps.into_iter().map(|step| Box::new(step) as Box<dyn MigrationTrait>).collect()
    }
}

/// One DDL statement with the name it is remembered by.
struct Step {
    name: &'static str,
    ddl: Ddl,
}

enum Ddl {
    Table(fn() -> TableCreateStatement),
    Index(fn() -> IndexCreateStatement),
}

impl MigrationName for Step {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match self.ddl {
            Ddl::Table(table) => manager.create_table(table()).await,
            Ddl::Index(index) => manager.create_index(index()).await,
        }
    }
}
