//! The indices for searching. Each engine makes its own of `products.search_text` and keeps it in step by itself, so that
//! nothing that writes a product can forget it.

use sea_orm_migration::{prelude::Index, sea_orm::DbBackend};
use shop_storage::migrate::Change;

pub(super) fn index(backend: DbBackend) -> Change {
    match backend {
        // Searches are many and changes few: these bring the index up to date at once instead of leaving that to searches.
        DbBackend::Postgres => Change::Sql(
            "CREATE INDEX products_search ON products USING gin (search_vector) WITH (fastupdate = off)".to_owned(),
        ),
        DbBackend::MySql => {
            Index::create().full_text().name("products_search").table("products").col("search_text").to_owned().into()
        }
        // Without a copy of the text, and without positions: nothing asks for phrases or excerpts. The tokenizer parts
        // at what is neither letter nor digit, which in the text is spaces only.
        _ => Change::Sql(
            "CREATE VIRTUAL TABLE product_search USING \
             fts5(words, content='', contentless_delete=1, detail='none', tokenize='ascii')"
                .to_owned(),
        ),
    }
}

pub(super) fn on_insert(backend: DbBackend) -> Change {
    match backend {
        DbBackend::Sqlite => Change::Sql(
            "CREATE TRIGGER products_search_insert AFTER INSERT ON products BEGIN \
             INSERT INTO product_search (rowid, words) VALUES (new.doc, new.search_text); END"
                .to_owned(),
        ),
        _ => Change::Nothing,
    }
}

pub(super) fn on_update(backend: DbBackend) -> Change {
    match backend {
        DbBackend::Sqlite => Change::Sql(
            "CREATE TRIGGER products_search_update AFTER UPDATE OF search_text ON products \
             WHEN old.search_text <> new.search_text BEGIN \
             UPDATE product_search SET words = new.search_text WHERE rowid = old.doc; END"
                .to_owned(),
        ),
        _ => Change::Nothing,
    }
}
