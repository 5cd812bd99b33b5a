//! Categories, products and the slugs they ever had.

use sea_orm_migration::{
    prelude::{
        Alias, ColumnDef, Expr, ExprTrait as _, ForeignKey, Index, IndexCreateStatement, InsertStatement, Query, Table,
        TableCreateStatement,
    },
    sea_orm::DbBackend,
};
use shop_storage::migrate::{Change, sorted_by_bytes};

pub(super) fn categories(backend: DbBackend) -> Change {
    Table::create()
        .table("categories")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("slug").string_len(100).not_null().unique_key())
        .col(ColumnDef::new("name").string_len(100).not_null())
        // The name as listings compare it; some letters grow when they turn small.
        .col(sorted_by_bytes(ColumnDef::new("sort_name").string_len(200).not_null(), backend))
        .col(ColumnDef::new("parent_id").uuid())
        .col(ColumnDef::new("version").big_integer().not_null())
        .foreign_key(
            ForeignKey::create().name("categories_parent").from("categories", "parent_id").to("categories", "id"),
        )
        .to_owned()
        .into()
}

pub(super) fn categories_parent() -> IndexCreateStatement {
    Index::create().name("categories_parent_id").table("categories").col("parent_id").to_owned()
}

pub(super) fn categories_name() -> IndexCreateStatement {
    Index::create().name("categories_sort_name").table("categories").col("sort_name").col("id").to_owned()
}

/// One row, which stands for the shape of the tree: whoever changes that locks it.
pub(super) fn category_tree() -> TableCreateStatement {
    Table::create().table("category_tree").col(ColumnDef::new("id").integer().not_null().primary_key()).to_owned()
}

pub(super) fn category_tree_row() -> InsertStatement {
    Query::insert().into_table("category_tree").columns(["id"]).values_panic([1.into()]).to_owned()
}

pub(super) fn products(backend: DbBackend) -> Change {
    let mut table = Table::create();
    let mut id = ColumnDef::new("id");
    id.uuid().not_null();
    let mut search_text = ColumnDef::new("search_text");
    search_text.text().not_null();
    match backend {
        DbBackend::Postgres => drop(id.primary_key()),
        DbBackend::MySql => {
            id.primary_key();
            // Ten thousand Chinese characters are as many words, and more than 64 KiB.
            search_text.custom("MEDIUMTEXT");
        }
        _ => {
            // What the index for searching knows the row by: it takes no UUID, and a rowid that is nowhere declared may
            // change when the file is compacted or copied.
            table.col(ColumnDef::new("doc").integer().not_null().primary_key().auto_increment());
            id.unique_key();
        }
    }
    table
        .table("products")
        .col(id)
        .col(ColumnDef::new("sku").string_len(64).not_null().unique_key())
        .col(ColumnDef::new("slug").string_len(100).not_null())
        .col(ColumnDef::new("name").string_len(200).not_null())
        // The name as listings compare it; some letters grow when they turn small.
        .col(sorted_by_bytes(ColumnDef::new("sort_name").string_len(400).not_null(), backend))
        .col(ColumnDef::new("description").text().not_null())
        // The terms of all its words, with a space on either side of each.
        .col(search_text)
        .col(ColumnDef::new("category_id").uuid())
        .col(ColumnDef::new("price_amount").big_integer().not_null())
        .col(ColumnDef::new("price_currency").string_len(3).not_null())
        .col(ColumnDef::new("attributes").json().not_null())
        .col(ColumnDef::new("image_url").string_len(2048))
        .col(ColumnDef::new("status").string_len(10).not_null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("updated_at").big_integer().not_null())
        .check(Expr::col("price_amount").gte(0))
        .foreign_key(
            ForeignKey::create().name("products_category").from("products", "category_id").to("categories", "id"),
        );
    if backend == DbBackend::Postgres {
        // Not `to_tsvector`: the terms are what they are, whatever the server's configuration makes of a text.
        let terms = Expr::cust("array_to_tsvector(string_to_array(btrim(search_text), ' '))");
        table.col(ColumnDef::new("search_vector").custom("tsvector").generated(terms, true));
    }
    table.into()
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

pub(super) fn products_category() -> IndexCreateStatement {
    Index::create().name("products_category_id").table("products").col("category_id").col("status").to_owned()
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
