//! Stock and its ledger.

use sea_orm_migration::prelude::{
    ColumnDef, Expr, ExprTrait as _, ForeignKey, Index, IndexCreateStatement, Table, TableCreateStatement,
};

/// A row of its own beside the product: it changes often and without a new version of the product. The checks are the
/// last line of defence behind the conditional updates.
pub(super) fn stock() -> TableCreateStatement {
    Table::create()
        .table("stock")
        .col(ColumnDef::new("product_id").uuid().not_null().primary_key())
        .col(ColumnDef::new("on_hand").big_integer().not_null())
        .col(ColumnDef::new("available").big_integer().not_null())
        .col(ColumnDef::new("reserved").big_integer().not_null())
        .check(Expr::col("available").gte(0))
        .check(Expr::col("reserved").gte(0))
        .check(Expr::col("on_hand").eq(Expr::col("available").add(Expr::col("reserved"))))
        .foreign_key(ForeignKey::create().name("stock_product").from("stock", "product_id").to("products", "id"))
        .to_owned()
}

/// For listings of what is, or is not, in stock.
pub(super) fn available() -> IndexCreateStatement {
    Index::create().name("stock_available").table("stock").col("available").col("product_id").to_owned()
}

/// Every change of `on_hand`: their sum is `on_hand`. An adjustment has a reason, a key and the stock after it, a commit
/// or return has an order.
pub(super) fn ledger() -> TableCreateStatement {
    Table::create()
        .table("stock_ledger")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("product_id").uuid().not_null())
        .col(ColumnDef::new("kind").string_len(10).not_null())
        .col(ColumnDef::new("delta").big_integer().not_null())
        .col(ColumnDef::new("order_id").uuid())
        .col(ColumnDef::new("actor").string_len(64).not_null())
        .col(ColumnDef::new("reason").string_len(500))
        .col(ColumnDef::new("idempotency_key").string_len(255))
        .col(ColumnDef::new("available_after").big_integer())
        .col(ColumnDef::new("reserved_after").big_integer())
        .col(ColumnDef::new("at").big_integer().not_null())
        .check(Expr::col("delta").ne(0))
        .foreign_key(
            ForeignKey::create()
                .name("stock_ledger_stock")
                .from("stock_ledger", "product_id")
                .to("stock", "product_id"),
        )
        .to_owned()
}

/// Keys are scoped by product. Rows of orders have none, and NULLs are all distinct.
pub(super) fn ledger_key() -> IndexCreateStatement {
    Index::create()
        .name("stock_ledger_product_key")
        .table("stock_ledger")
        .col("product_id")
        .col("idempotency_key")
        .unique()
        .to_owned()
}

/// An order takes a product out once and brings it back once.
pub(super) fn ledger_order() -> IndexCreateStatement {
    Index::create()
        .name("stock_ledger_order")
        .table("stock_ledger")
        .col("order_id")
        .col("product_id")
        .col("kind")
        .unique()
        .to_owned()
}
