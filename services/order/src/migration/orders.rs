//! Orders, their items and history, and the keys they were placed with.

use sea_orm_migration::prelude::{
    Alias, ColumnDef, Expr, ExprTrait as _, Index, IndexCreateStatement, Table, TableCreateStatement,
};

use super::to_order;

pub(super) fn orders() -> TableCreateStatement {
    Table::create()
        .table("orders")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("status").string_len(16).not_null())
        .col(ColumnDef::new("total_amount").big_integer())
        .col(ColumnDef::new("total_currency").string_len(3))
        .col(ColumnDef::new("address").json().not_null())
        .col(ColumnDef::new("reason").string_len(32))
        .col(ColumnDef::new("expires_at").big_integer())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("updated_at").big_integer().not_null())
        .to_owned()
}

/// Listings are by owner or status and then by id, which is by age; expiry asks for reserved orders by their time.
pub(super) fn orders_by(first: &'static str, second: &'static str) -> IndexCreateStatement {
    Index::create()
        .name(format!("orders_{first}_{second}"))
        .table("orders")
        .col(Alias::new(first))
        .col(Alias::new(second))
        .to_owned()
}

/// Priced once stock was reserved; of a rejected order, the lines that could not be had carry the refusal.
pub(super) fn items() -> TableCreateStatement {
    Table::create()
        .table("order_items")
        .col(ColumnDef::new("order_id").uuid().not_null())
        .col(ColumnDef::new("position").integer().not_null())
        .col(ColumnDef::new("product_id").uuid().not_null())
        .col(ColumnDef::new("quantity").big_integer().not_null())
        .col(ColumnDef::new("sku").string_len(64))
        .col(ColumnDef::new("name").string_len(200))
        .col(ColumnDef::new("unit_amount").big_integer())
        .col(ColumnDef::new("line_amount").big_integer())
        .col(ColumnDef::new("currency").string_len(3))
        .col(ColumnDef::new("refusal").string_len(16))
        .col(ColumnDef::new("available_then").big_integer())
        .primary_key(Index::create().col("order_id").col("position"))
        .check(Expr::col("quantity").gt(0))
        .foreign_key(&mut to_order("order_items"))
        .to_owned()
}

/// One row for each version of an order.
pub(super) fn history() -> TableCreateStatement {
    Table::create()
        .table("order_history")
        .col(ColumnDef::new("order_id").uuid().not_null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(ColumnDef::new("from_status").string_len(16))
        .col(ColumnDef::new("to_status").string_len(16).not_null())
        .col(ColumnDef::new("actor").string_len(64).not_null())
        .col(ColumnDef::new("reason").string_len(32))
        .col(ColumnDef::new("note").text())
        .col(ColumnDef::new("at").big_integer().not_null())
        .primary_key(Index::create().col("order_id").col("version"))
        .foreign_key(&mut to_order("order_history"))
        .to_owned()
}

pub(super) fn keys() -> TableCreateStatement {
    Table::create()
        .table("idempotency_keys")
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("idempotency_key").string_len(255).not_null())
        .col(ColumnDef::new("body_hash").binary_len(32).not_null())
        .col(ColumnDef::new("order_id").uuid().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .primary_key(Index::create().col("user_id").col("idempotency_key"))
        .foreign_key(&mut to_order("idempotency_keys"))
        .to_owned()
}

/// The audit asks which keys lead to an order, and the database does when an order is deleted.
pub(super) fn keys_order() -> IndexCreateStatement {
    Index::create().name("idempotency_keys_order").table("idempotency_keys").col("order_id").to_owned()
}

/// Keys are forgotten by age.
pub(super) fn keys_age() -> IndexCreateStatement {
    Index::create().name("idempotency_keys_age").table("idempotency_keys").col("created_at").to_owned()
}
