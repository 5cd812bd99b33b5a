//! Reservations and their lines.

use sea_orm_migration::prelude::{
    ColumnDef, Expr, ExprTrait as _, ForeignKey, Index, IndexCreateStatement, Table, TableCreateStatement,
};

pub(super) fn reservations() -> TableCreateStatement {
    Table::create()
        .table("reservations")
        .col(ColumnDef::new("order_id").uuid().not_null().primary_key())
        .col(ColumnDef::new("state").string_len(10).not_null())
        // When the net for orphans may release it; none for a tombstone.
        .col(ColumnDef::new("hold_until").big_integer())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("changed_at").big_integer().not_null())
        .to_owned()
}

pub(super) fn reservations_lapse() -> IndexCreateStatement {
    Index::create().name("reservations_lapse").table("reservations").col("state").col("hold_until").to_owned()
}

/// A line of a reserved order carries its snapshot; of a refused one, those that could not be had carry the refusal.
pub(super) fn lines() -> TableCreateStatement {
    Table::create()
        .table("reservation_lines")
        .col(ColumnDef::new("order_id").uuid().not_null())
        // No foreign key: a refused line may name a product that never was.
        .col(ColumnDef::new("product_id").uuid().not_null())
        .col(ColumnDef::new("quantity").big_integer().not_null())
        .col(ColumnDef::new("sku").string_len(64))
        .col(ColumnDef::new("name").string_len(200))
        .col(ColumnDef::new("unit_amount").big_integer())
        .col(ColumnDef::new("unit_currency").string_len(3))
        .col(ColumnDef::new("refusal").string_len(20))
        .col(ColumnDef::new("available_then").big_integer())
        .primary_key(Index::create().col("order_id").col("product_id"))
        .check(Expr::col("quantity").gt(0))
        .foreign_key(
            ForeignKey::create()
                .name("reservation_lines_reservation")
                .from("reservation_lines", "order_id")
                .to("reservations", "order_id"),
        )
        .to_owned()
}
