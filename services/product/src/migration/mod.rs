//! The schema of product's database, step by step. A step that was released is never edited.
//!
//! One DDL statement a step, because MySQL commits each on its own: a step that fails is then wholly undone or wholly
//! done.

mod catalogue;
mod reservations;
mod stock;

use sea_orm_migration::{MigrationTrait, MigratorTrait};
use shop_storage::{
    SchemaRange,
    migrate::{Step, steps},
};

/// The schemas this binary works with: `newest` is the one its migrations make.
pub(crate) const SCHEMA: SchemaRange = SchemaRange { oldest_ok: 1, newest: 1 };

/// Product's migrations.
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        steps([
            Step { name: "m0001_products", change: |_| catalogue::products().into() },
            Step { name: "m0002_products_slug", change: |_| catalogue::products_slug().into() },
            Step { name: "m0003_products_newest", change: |_| catalogue::products_by("created_at").into() },
            Step { name: "m0004_products_price", change: |_| catalogue::products_by("price_amount").into() },
            Step { name: "m0005_products_name", change: |_| catalogue::products_by("sort_name").into() },
            Step { name: "m0006_slugs", change: |_| catalogue::slugs().into() },
            Step { name: "m0007_stock", change: |_| stock::stock().into() },
            Step { name: "m0008_stock_ledger", change: |_| stock::ledger().into() },
            Step { name: "m0009_stock_ledger_key", change: |_| stock::ledger_key().into() },
            Step { name: "m0010_stock_ledger_order", change: |_| stock::ledger_order().into() },
            Step { name: "m0011_reservations", change: |_| reservations::reservations().into() },
            Step { name: "m0012_reservations_lapse", change: |_| reservations::reservations_lapse().into() },
            Step { name: "m0013_reservation_lines", change: |_| reservations::lines().into() },
        ])
    }
}
