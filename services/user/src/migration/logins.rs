//! What the login throttle counts by.

use sea_orm_migration::prelude::{
    ColumnDef, ForeignKey, Index, IndexCreateStatement, InsertStatement, Query, Table, TableCreateStatement,
};

/// Attempts that failed or are being looked at. `account_key` is a hash: the account need not exist.
pub(super) fn failures() -> TableCreateStatement {
    Table::create()
        .table("login_failures")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("account_key").binary_len(32).not_null())
        .col(ColumnDef::new("address").string_len(64).not_null())
        .col(ColumnDef::new("known_address").boolean().not_null())
        .col(ColumnDef::new("at").big_integer().not_null())
        .to_owned()
}

pub(super) fn failures_account() -> IndexCreateStatement {
    Index::create().name("login_failures_account").table("login_failures").col("account_key").col("at").to_owned()
}

pub(super) fn failures_address() -> IndexCreateStatement {
    Index::create().name("login_failures_address").table("login_failures").col("address").col("at").to_owned()
}

/// For forgetting.
pub(super) fn failures_time() -> IndexCreateStatement {
    Index::create().name("login_failures_at").table("login_failures").col("at").to_owned()
}

/// Addresses that an account signed in from. `looked_at` is when an attempt from there beyond the limits was last looked
/// at; 0 after a login.
pub(super) fn addresses() -> TableCreateStatement {
    Table::create()
        .table("login_addresses")
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("address").string_len(64).not_null())
        .col(ColumnDef::new("last_used_at").big_integer().not_null())
        .col(ColumnDef::new("looked_at").big_integer().not_null())
        .primary_key(Index::create().col("user_id").col("address"))
        .foreign_key(
            ForeignKey::create().name("login_addresses_user").from("login_addresses", "user_id").to("users", "id"),
        )
        .to_owned()
}

/// For forgetting.
pub(super) fn addresses_time() -> IndexCreateStatement {
    Index::create().name("login_addresses_last_used_at").table("login_addresses").col("last_used_at").to_owned()
}

/// Rows that exist to be locked, so that attempts of one account, or from one address, are counted one after the other.
/// A fixed number of them, since anyone may invent accounts; two that share a row only wait for each other.
pub(super) fn locks() -> TableCreateStatement {
    Table::create().table("login_locks").col(ColumnDef::new("id").integer().not_null().primary_key()).to_owned()
}

pub(super) fn locks_rows() -> InsertStatement {
    let mut rows = Query::insert().into_table("login_locks").columns(["id"]).to_owned();
    for id in 0..=i32::from(u8::MAX) {
        rows.values_panic([id.into()]);
    }
    rows
}
