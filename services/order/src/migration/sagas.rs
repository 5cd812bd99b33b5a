//! Sagas: one row for each order, with what is outstanding and who works on it.

use sea_orm_migration::prelude::{ColumnDef, Index, IndexCreateStatement, Table, TableCreateStatement};

use super::to_order;

/// `step`, `since` and `due_at` are set while a step is outstanding. `due_at` is when the step may be taken (again): the
/// end of the lease while somebody works on it, the end of the pause after a failed attempt.
pub(super) fn sagas() -> TableCreateStatement {
    Table::create()
        .table("sagas")
        .col(ColumnDef::new("order_id").uuid().not_null().primary_key())
        .col(ColumnDef::new("step").string_len(16))
        .col(ColumnDef::new("since").big_integer())
        .col(ColumnDef::new("due_at").big_integer())
        .col(ColumnDef::new("attempts").integer().not_null())
        .col(ColumnDef::new("lease_owner").uuid())
        .col(ColumnDef::new("lease_epoch").big_integer().not_null())
        // Somebody asked, while the order was pending, that it be cancelled.
        .col(ColumnDef::new("cancel_by").uuid())
        .col(ColumnDef::new("cancel_reason").string_len(32))
        .col(ColumnDef::new("cancel_note").text())
        .foreign_key(&mut to_order("sagas"))
        .to_owned()
}

/// Rows at rest have no `due_at` and stay out of the searched part.
pub(super) fn sagas_due() -> IndexCreateStatement {
    Index::create().name("sagas_due").table("sagas").col("due_at").to_owned()
}
