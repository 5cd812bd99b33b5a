//! Payments, refunds, what is owed back, and the provider's notices.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, sea_query::OnConflict,
};
use shop_storage::{StorageError, insert_new};
use shop_types::{Instant, Money, Uuid};

use super::{
    corrupt,
    entity::{due, notice, payment, refund},
    rows,
};
use crate::domain::{Actor, Notice, Reference};

/// What became of money that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PaymentOutcome {
    /// It paid for the order.
    Applied,
    /// It is owed back.
    RefundDue,
}

impl PaymentOutcome {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::RefundDue => "refund_due",
        }
    }

    fn parse(name: &str) -> Result<Self, StorageError> {
        match name {
            "applied" => Ok(Self::Applied),
            "refund_due" => Ok(Self::RefundDue),
            _ => Err(corrupt("payment outcome", name)),
        }
    }
}

/// Money that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payment {
    pub(crate) id: Uuid,
    pub(crate) order_id: Uuid,
    pub(crate) reference: String,
    pub(crate) amount: Money,
    pub(crate) outcome: PaymentOutcome,
    pub(crate) recorded_at: Instant,
}

/// Money that went back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refund {
    pub(crate) id: Uuid,
    pub(crate) order_id: Uuid,
    pub(crate) reference: String,
    pub(crate) amount: Money,
    pub(crate) restock: bool,
    pub(crate) recorded_at: Instant,
}

/// The payment of this reference.
pub(crate) async fn payment(
    connection: &impl ConnectionTrait,
    reference: &Reference,
) -> Result<Option<Payment>, StorageError> {
    let row = payment::Entity::find().filter(payment::Column::Reference.eq(reference.as_str())).one(connection).await?;
    row.map(|row| {
        Ok(Payment {
            id: row.id,
            order_id: row.order_id,
            amount: rows::money(row.amount, &row.currency)?,
            outcome: PaymentOutcome::parse(&row.outcome)?,
            reference: row.reference,
            recorded_at: Instant::from_micros(row.recorded_at),
        })
    })
    .transpose()
}

/// Adds a payment; false when its reference is taken.
pub(crate) async fn insert_payment(
    connection: &impl ConnectionTrait,
    payment: &Payment,
    actor: Actor,
) -> Result<bool, StorageError> {
    let row = payment::ActiveModel {
        id: Set(payment.id),
        order_id: Set(payment.order_id),
        reference: Set(payment.reference.clone()),
        amount: Set(payment.amount.amount()),
        currency: Set(payment.amount.currency().to_string()),
        outcome: Set(payment.outcome.as_str().to_owned()),
        actor: Set(actor.to_string()),
        recorded_at: Set(payment.recorded_at.as_micros()),
    };
    insert_new(connection, payment::Entity::insert(row)).await
}

/// The refund of this reference.
pub(crate) async fn refund(
    connection: &impl ConnectionTrait,
    reference: &Reference,
) -> Result<Option<Refund>, StorageError> {
    let row = refund::Entity::find().filter(refund::Column::Reference.eq(reference.as_str())).one(connection).await?;
    row.map(|row| {
        Ok(Refund {
            id: row.id,
            order_id: row.order_id,
            amount: rows::money(row.amount, &row.currency)?,
            reference: row.reference,
            restock: row.restock,
            recorded_at: Instant::from_micros(row.recorded_at),
        })
    })
    .transpose()
}

/// Adds a refund; false when its reference is taken.
pub(crate) async fn insert_refund(
    connection: &impl ConnectionTrait,
    refund: &Refund,
    actor: Actor,
) -> Result<bool, StorageError> {
    let row = refund::ActiveModel {
        id: Set(refund.id),
        order_id: Set(refund.order_id),
        reference: Set(refund.reference.clone()),
        amount: Set(refund.amount.amount()),
        currency: Set(refund.amount.currency().to_string()),
        restock: Set(refund.restock),
        actor: Set(actor.to_string()),
        recorded_at: Set(refund.recorded_at.as_micros()),
    };
    insert_new(connection, refund::Entity::insert(row)).await
}

/// Sets what is owed back in the currency of `due`; zero is nothing.
pub(crate) async fn set_due(connection: &impl ConnectionTrait, order_id: Uuid, due: Money) -> Result<(), StorageError> {
    let currency = due.currency().to_string();
    if due.amount() == 0 {
        due::Entity::delete_by_id((order_id, currency)).exec(connection).await?;
        return Ok(());
    }
    let row = due::ActiveModel { order_id: Set(order_id), currency: Set(currency), amount: Set(due.amount()) };
    let or_replace = OnConflict::columns([due::Column::OrderId, due::Column::Currency])
        .update_column(due::Column::Amount)
        .to_owned();
    due::Entity::insert(row).on_conflict(or_replace).exec_without_returning(connection).await?;
    Ok(())
}

/// Whether a notice of this id was stored.
pub(crate) async fn has_notice(connection: &impl ConnectionTrait, notice: &Notice) -> Result<bool, StorageError> {
    let found = notice::Entity::find_by_id(notice.id.as_str().to_owned()).one(connection).await?;
    Ok(found.is_some())
}

/// Keeps a notice as it came; false when its id is taken.
pub(crate) async fn insert_notice(
    connection: &impl ConnectionTrait,
    notice: &Notice,
    body: &[u8],
    outcome: &str,
    now: Instant,
) -> Result<bool, StorageError> {
    let row = notice::ActiveModel {
        id: Set(notice.id.as_str().to_owned()),
        order_id: Set(notice.order_id),
        body: Set(body.to_vec()),
        outcome: Set(outcome.to_owned()),
        received_at: Set(now.as_micros()),
    };
    insert_new(connection, notice::Entity::insert(row)).await
}
