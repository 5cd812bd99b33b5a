//! Products and the slugs they ever had.

use sea_orm_migration::prelude::{
    Alias, ColumnDef, Expr, ExprTrait as _, ForeignKey, Index, IndexCreateStatement, Table, TableCreateStatement,
};

pub(super) fn products() -> TableCreateStatement {
    Table::create()
        .table("products")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("sku").string_len(64).not_null().unique_key())
        .col(ColumnDef::new("slug").string_len(100).not_null())
        .col(ColumnDef::new("name").string_len(200).not_null())
        // The name as listings compare it; some letters grow when they turn small.
        .col(ColumnDef::new("sort_name").string_len(400).not_null())
        .col(ColumnDef::new("description").text().not_null())
        .col(ColumnDef::new("price_amount").big_integer().not_null())
        .col(ColumnDef::new("price_currency").string_len(3).not_null())
        .col(ColumnDef::new("attributes").json().not_null())
        .col(ColumnDef::new("image_url").string_len(2048))
        .col(ColumnDef::new("status").string_len(10).not_null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("updated_at").big_integer().not_null())
        .check(Expr::col("price_amount").gte(0))
        .to_owned()
}

/// For finding only: that slugs are unique is the matter of [`slugs`].
pub(super) fn products_slug() -> IndexCreateStatement {
    Index::create().name("products_slug").table("products").col("slug").to_owned()
}

/// A listing is one status in one order; the id breaks ties.
pub(super) fn products_by(key: &'static str) -> IndexCreateStatement {
    Index::create()
        .name(format!("products_status_{key}"))
        .table("products")
        .col("status")
        .col(Alias::new(key))
        .col("id")
        .to_owned()
}

/// A slug belongs to its first product for ever, so that a link never leads to another article.
pub(super) fn slugs() -> TableCreateStatement {
    Table::create()
        .table("slugs")
        .col(ColumnDef::new("slug").string_len(100).not_null().primary_key())
        .col(ColumnDef::new("product_id").uuid().not_null())
        .foreign_key(ForeignKey::create().name("slugs_product").from("slugs", "product_id").to("products", "id"))
        .to_owned()
}
