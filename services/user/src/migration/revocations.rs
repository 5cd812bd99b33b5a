//! The feed of revoked credentials.

use sea_orm_migration::prelude::{
    ColumnDef, Index, IndexCreateStatement, InsertStatement, Query, Table, TableCreateStatement,
};

/// Either a session, or a user with the lowest epoch that is still good.
pub(super) fn revocations() -> TableCreateStatement {
    Table::create()
        .table("revocations")
        .col(ColumnDef::new("position").big_integer().not_null().primary_key())
        .col(ColumnDef::new("session_id").uuid())
        .col(ColumnDef::new("user_id").uuid())
        .col(ColumnDef::new("epoch").big_integer())
        .col(ColumnDef::new("forget_after").big_integer().not_null())
        .to_owned()
}

/// For forgetting.
pub(super) fn revocations_time() -> IndexCreateStatement {
    Index::create().name("revocations_forget_after").table("revocations").col("forget_after").to_owned()
}

/// The last position, in one row. A transaction that takes the next one holds the row until it commits, so positions
/// grow in the order of commits and a reader never sees a later one before an earlier. A sequence would not do that.
pub(super) fn counter() -> TableCreateStatement {
    Table::create()
        .table("revocation_counter")
        .col(ColumnDef::new("id").integer().not_null().primary_key())
        .col(ColumnDef::new("last_position").big_integer().not_null())
        .to_owned()
}

pub(super) fn counter_row() -> InsertStatement {
    Query::insert()
        .into_table("revocation_counter")
        .columns(["id", "last_position"])
        .values_panic([1.into(), 0i64.into()])
        .to_owned()
}
