//! The outbox and who is told.

use sea_orm_migration::prelude::{ColumnDef, Index, IndexCreateStatement, Table, TableCreateStatement};

use super::to_order;

/// One event for each version of an order, written with it.
pub(super) fn outbox() -> TableCreateStatement {
    Table::create()
        .table("outbox")
        .col(ColumnDef::new("order_id").uuid().not_null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(ColumnDef::new("event_type").string_len(32).not_null())
        .col(ColumnDef::new("data").json().not_null())
        .col(ColumnDef::new("at").big_integer().not_null())
        .col(ColumnDef::new("sent_at").big_integer())
        .primary_key(Index::create().col("order_id").col("version"))
        .foreign_key(&mut to_order("outbox"))
        .to_owned()
}

/// The oldest unsent event is the relay's lag; sent ones are forgotten by age.
pub(super) fn outbox_sent() -> IndexCreateStatement {
    Index::create().name("outbox_sent_at_at").table("outbox").col("sent_at").col("at").to_owned()
}

/// One row for each order with unsent events: its events are sent one after the other, by one process at a time.
/// `due_at` is the end of that process's lease, or of the pause after a failed attempt.
pub(super) fn deliveries() -> TableCreateStatement {
    Table::create()
        .table("deliveries")
        .col(ColumnDef::new("order_id").uuid().not_null().primary_key())
        .col(ColumnDef::new("due_at").big_integer().not_null())
        .col(ColumnDef::new("attempts").integer().not_null())
        .col(ColumnDef::new("lease_epoch").big_integer().not_null())
        .foreign_key(&mut to_order("deliveries"))
        .to_owned()
}

pub(super) fn deliveries_due() -> IndexCreateStatement {
    Index::create().name("deliveries_due").table("deliveries").col("due_at").to_owned()
}
