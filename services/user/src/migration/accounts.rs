//! Accounts and what belongs to them.

use sea_orm_migration::prelude::{ColumnDef, ForeignKey, Index, IndexCreateStatement, Table, TableCreateStatement};

/// A deleted account keeps its row, so that its id is never another's, and nothing that says whose it was.
pub(super) fn users() -> TableCreateStatement {
    Table::create()
        .table("users")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("email").string_len(254).not_null())
        .col(ColumnDef::new("email_key").string_len(254))
        .col(ColumnDef::new("display_name").string_len(100).not_null())
        .col(ColumnDef::new("password_hash").string_len(200))
        .col(ColumnDef::new("role").string_len(10).not_null())
        .col(ColumnDef::new("disabled").boolean().not_null())
        .col(ColumnDef::new("epoch").big_integer().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("updated_at").big_integer().not_null())
        .col(ColumnDef::new("deleted_at").big_integer())
        .to_owned()
}

/// Deleted accounts have no key, and NULLs are all distinct.
pub(super) fn users_email() -> IndexCreateStatement {
    Index::create().name("users_email_key").table("users").col("email_key").unique().to_owned()
}

/// For counting admins.
pub(super) fn users_role() -> IndexCreateStatement {
    Index::create().name("users_role").table("users").col("role").to_owned()
}

pub(super) fn addresses() -> TableCreateStatement {
    Table::create()
        .table("addresses")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("label").string_len(100))
        .col(ColumnDef::new("recipient").string_len(200).not_null())
        .col(ColumnDef::new("line1").string_len(200).not_null())
        .col(ColumnDef::new("line2").string_len(200))
        .col(ColumnDef::new("city").string_len(100).not_null())
        .col(ColumnDef::new("region").string_len(100))
        .col(ColumnDef::new("postal_code").string_len(20).not_null())
        .col(ColumnDef::new("country").string_len(2).not_null())
        .foreign_key(ForeignKey::create().name("addresses_user").from("addresses", "user_id").to("users", "id"))
        .to_owned()
}

pub(super) fn addresses_user() -> IndexCreateStatement {
    Index::create().name("addresses_user_id").table("addresses").col("user_id").col("id").to_owned()
}

pub(super) fn sessions() -> TableCreateStatement {
    Table::create()
        .table("sessions")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("secret").binary_len(32).not_null())
        .col(ColumnDef::new("present_hash").binary_len(32).not_null())
        .col(ColumnDef::new("predecessor_hash").binary_len(32))
        .col(ColumnDef::new("rotated_at").big_integer().not_null())
        .col(ColumnDef::new("expires_at").big_integer().not_null())
        .foreign_key(ForeignKey::create().name("sessions_user").from("sessions", "user_id").to("users", "id"))
        .to_owned()
}

pub(super) fn sessions_user() -> IndexCreateStatement {
    Index::create().name("sessions_user_id").table("sessions").col("user_id").col("id").to_owned()
}

pub(super) fn sessions_expiry() -> IndexCreateStatement {
    Index::create().name("sessions_expires_at").table("sessions").col("expires_at").to_owned()
}
