//! The schema of product's database, step by step. A step that was released is never edited.
//!
//! One DDL statement a step, because MySQL commits each on its own: a step that fails is then wholly undone or wholly
//! done.

mod catalogue;
mod reservations;
mod search;
mod stock;

use sea_orm_migration::{MigrationTrait, MigratorTrait};
use shop_storage::{
    SchemaRange,
    migrate::{Step, steps},
};

/// The schemas this binary works with: `newest` is the one its migrations make.
pub const SCHEMA: SchemaRange = SchemaRange { oldest_ok: 1, newest: 1 };

/// Product's migrations.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        steps([
            Step { name: "m0001_categories", change: catalogue::categories },
            Step { name: "m0002_categories_parent", change: |_| catalogue::categories_parent().into() },
            Step { name: "m0003_categories_name", change: |_| catalogue::categories_name().into() },
            Step { name: "m0004_category_tree", change: |_| catalogue::category_tree().into() },
            Step { name: "m0005_category_tree_row", change: |_| catalogue::category_tree_row().into() },
            Step { name: "m0006_products", change: catalogue::products },
            Step { name: "m0007_products_slug", change: |_| catalogue::products_slug().into() },
            Step { name: "m0008_products_newest", change: |_| catalogue::products_by("created_at").into() },
            Step { name: "m0009_products_price", change: |_| catalogue::products_by("price_amount").into() },
            Step { name: "m0010_products_name", change: |_| catalogue::products_by("sort_name").into() },
            Step { name: "m0011_products_category", change: |_| catalogue::products_category().into() },
            Step { name: "m0012_products_search", change: search::index },
            Step { name: "m0013_products_search_insert", change: search::on_insert },
            Step { name: "m0014_products_search_update", change: search::on_update },
            Step { name: "m0015_slugs", change: |_| catalogue::slugs().into() },
            Step { name: "m0016_stock", change: |_| stock::stock().into() },
            Step { name: "m0017_stock_available", change: |_| stock::available().into() },
            Step { name: "m0018_stock_ledger", change: |_| stock::ledger().into() },
            Step { name: "m0019_stock_ledger_key", change: |_| stock::ledger_key().into() },
            Step { name: "m0020_stock_ledger_order", change: |_| stock::ledger_order().into() },
            Step { name: "m0021_reservations", change: |_| reservations::reservations().into() },
            Step { name: "m0022_reservations_lapse", change: |_| reservations::reservations_lapse().into() },
            Step { name: "m0023_reservation_lines", change: |_| reservations::lines().into() },
        ])
    }
}
