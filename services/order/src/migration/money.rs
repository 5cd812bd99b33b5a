//! Payments, refunds, what is owed back, and the provider's notices.

use sea_orm_migration::{
    prelude::{Alias, ColumnDef, Expr, ExprTrait as _, Index, IndexCreateStatement, Table, TableCreateStatement},
    sea_orm::DbBackend,
};

use super::to_order;

/// Money that came in. A reference applies once.
pub(super) fn payments() -> TableCreateStatement {
    Table::create()
        .table("payments")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("order_id").uuid().not_null())
        .col(ColumnDef::new("reference").string_len(200).not_null().unique_key())
        .col(ColumnDef::new("amount").big_integer().not_null())
        .col(ColumnDef::new("currency").string_len(3).not_null())
        .col(ColumnDef::new("outcome").string_len(16).not_null())
        .col(ColumnDef::new("actor").string_len(64).not_null())
        .col(ColumnDef::new("recorded_at").big_integer().not_null())
        .check(Expr::col("amount").gte(0))
        .foreign_key(&mut to_order("payments"))
        .to_owned()
}

/// Money that went back. A reference applies once.
pub(super) fn refunds() -> TableCreateStatement {
    Table::create()
        .table("refunds")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("order_id").uuid().not_null())
        .col(ColumnDef::new("reference").string_len(200).not_null().unique_key())
        .col(ColumnDef::new("amount").big_integer().not_null())
        .col(ColumnDef::new("currency").string_len(3).not_null())
        .col(ColumnDef::new("restock").boolean().not_null())
        .col(ColumnDef::new("actor").string_len(64).not_null())
        .col(ColumnDef::new("recorded_at").big_integer().not_null())
        .check(Expr::col("amount").gte(0))
        .foreign_key(&mut to_order("refunds"))
        .to_owned()
}

pub(super) fn by_order(table: &'static str) -> IndexCreateStatement {
    Index::create().name(format!("{table}_order_id")).table(Alias::new(table)).col("order_id").to_owned()
}

/// What is owed back: a row while there is something, for each currency that came in.
pub(super) fn dues() -> TableCreateStatement {
    Table::create()
        .table("refund_dues")
        .col(ColumnDef::new("order_id").uuid().not_null())
        .col(ColumnDef::new("currency").string_len(3).not_null())
        .col(ColumnDef::new("amount").big_integer().not_null())
        .primary_key(Index::create().col("order_id").col("currency"))
        .check(Expr::col("amount").gt(0))
        .foreign_key(&mut to_order("refund_dues"))
        .to_owned()
}

/// Notices as they came. No foreign key: one may name an order that never was.
pub(super) fn notices(backend: DbBackend) -> TableCreateStatement {
    let mut body = ColumnDef::new("body");
    match backend {
        // A plain one holds a byte less than a notice may have.
        DbBackend::MySql => body.custom("mediumblob"),
        _ => body.blob(),
    };
    Table::create()
        .table("payment_notices")
        .col(ColumnDef::new("id").string_len(200).not_null().primary_key())
        .col(ColumnDef::new("order_id").uuid().not_null())
        .col(body.not_null())
        .col(ColumnDef::new("outcome").string_len(20).not_null())
        .col(ColumnDef::new("received_at").big_integer().not_null())
        .to_owned()
}
