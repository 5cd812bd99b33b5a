//! Money that came in and money that went back.

use serde::{Deserialize, Serialize};
use shop_proto::order;
use utoipa::ToSchema;

use super::{BadReply, Id, Money, Order, Timestamp, order::example, required, wire_enum};

wire_enum! {
    /// What a payment did.
    PaymentOutcome = order::PaymentOutcome {
        /// It paid for the order.
        Applied,
        /// Late, surplus, of a wrong amount or a second one: to be given back.
        RefundDue,
    }
}

/// A payment that was received.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"reference": "transfer-4711", "amount": {"amount": 3998, "currency": "USD"}})))]
pub(crate) struct NewPayment {
    /// What the bank or provider calls it; applied once.
    #[schema(min_length = 1, max_length = 200)]
    pub reference: String,
    /// How much.
    pub amount: Money,
}

impl NewPayment {
    /// The call that records it for an order.
    pub(crate) fn into_request(self, order_id: Id) -> order::RecordPaymentRequest {
        let amount = Some(self.amount.into());
        order::RecordPaymentRequest { order_id: order_id.into(), reference: self.reference, amount }
    }
}

/// A recorded payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": "0198c9a5-bbbb-7c4e-9d0a-3f1f5f0a1b2c", "order_id": "0198c9a5-8888-7c4e-9d0a-3f1f5f0a1b2c",
    "reference": "transfer-4711", "amount": {"amount": 3998, "currency": "USD"}, "outcome": "applied",
    "recorded_at": "2026-11-22T09:05:00Z",
    "order": example("paid", 3, "2026-11-22T09:05:00Z")
})))]
pub(crate) struct Payment {
    /// Its id.
    pub id: Id,
    /// The order it names.
    pub order_id: Id,
    /// What the bank or provider calls it.
    pub reference: String,
    /// How much.
    pub amount: Money,
    /// What it did.
    pub outcome: PaymentOutcome,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The order as it is now.
    pub order: Order,
}

impl TryFrom<order::RecordPaymentResponse> for Payment {
    type Error = BadReply;

    fn try_from(wire: order::RecordPaymentResponse) -> Result<Self, BadReply> {
        let payment = wire.payment.ok_or(BadReply("payment"))?;
        Ok(Self {
            id: payment.id.try_into()?,
            order_id: payment.order_id.try_into()?,
            reference: payment.reference,
            amount: required(payment.amount, "amount")?,
            outcome: PaymentOutcome::from_wire(payment.outcome)?.ok_or(BadReply("outcome"))?,
            recorded_at: required(payment.recorded_at, "recorded_at")?,
            order: required(wire.order, "order")?,
        })
    }
}

/// Money that was given back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"reference": "refund-4711", "amount": {"amount": 3998, "currency": "USD"}, "restock": true})))]
pub(crate) struct NewRefund {
    /// What the bank or provider calls it; applied once.
    #[schema(min_length = 1, max_length = 200)]
    pub reference: String,
    /// How much: the order's total, or its open `refund_due`.
    pub amount: Money,
    /// Whether the goods go back into stock.
    #[serde(default)]
    pub restock: bool,
}

impl NewRefund {
    /// The call that records it for an order.
    pub(crate) fn into_request(self, order_id: Id) -> order::RefundOrderRequest {
        let Self { reference, amount, restock } = self;
        order::RefundOrderRequest { order_id: order_id.into(), reference, amount: Some(amount.into()), restock }
    }
}

/// A recorded refund.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": "0198c9a5-cccc-7c4e-9d0a-3f1f5f0a1b2c", "order_id": "0198c9a5-8888-7c4e-9d0a-3f1f5f0a1b2c",
    "reference": "refund-4711", "amount": {"amount": 3998, "currency": "USD"}, "restock": true,
    "recorded_at": "2026-11-22T09:05:00Z",
    "order": example("refunded", 5, "2026-11-22T09:05:00Z")
})))]
pub(crate) struct Refund {
    /// Its id.
    pub id: Id,
    /// The order it names.
    pub order_id: Id,
    /// What the bank or provider calls it.
    pub reference: String,
    /// How much.
    pub amount: Money,
    /// Whether the goods went back into stock.
    pub restock: bool,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The order as it is now.
    pub order: Order,
}

impl TryFrom<order::RefundOrderResponse> for Refund {
    type Error = BadReply;

    fn try_from(wire: order::RefundOrderResponse) -> Result<Self, BadReply> {
        let refund = wire.refund.ok_or(BadReply("refund"))?;
        Ok(Self {
            id: refund.id.try_into()?,
            order_id: refund.order_id.try_into()?,
            reference: refund.reference,
            amount: required(refund.amount, "amount")?,
            restock: refund.restock,
            recorded_at: required(refund.recorded_at, "recorded_at")?,
            order: required(wire.order, "order")?,
        })
    }
}

/// What a payment provider tells of a payment; the service that holds the secret reads it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a notice is passed on byte for byte; this describes it")]
#[schema(examples(json!({
    "id": "evt-1", "order_id": "0198c9a5-8888-7c4e-9d0a-3f1f5f0a1b2c", "reference": "transfer-4711",
    "amount": {"amount": 3998, "currency": "USD"}, "paid_at": "2026-11-22T09:05:00Z"
})))]
pub(crate) struct PaymentNotice {
    /// The provider's name for the notice itself: stored once.
    #[schema(min_length = 1, max_length = 200)]
    pub id: String,
    /// The order that is paid for.
    pub order_id: Id,
    /// What the provider calls the payment; applied once.
    #[schema(min_length = 1, max_length = 200)]
    pub reference: String,
    /// How much.
    pub amount: Money,
    /// When it was paid, by the provider's clock.
    pub paid_at: Timestamp,
}

/// That a payment notice is stored.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({"replayed": false})))]
pub(crate) struct WebhookReceipt {
    /// Whether it had been stored before.
    pub replayed: bool,
}
