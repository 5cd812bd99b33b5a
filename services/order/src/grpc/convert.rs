//! Between the contracts' messages and the domain.

use prost_types::Timestamp;
use shop_proto::{order as proto, types};
use shop_types::{Instant, Money, RawAddress};

use crate::{
    app::{Paid, Refunded, Sighting},
    domain::{
        HistoryEntry, Invalid, Item, ItemAnswer, Order, RawDestination, Reason, Reference, ShippingAddress, Status,
        parse_amount,
    },
    store::money::{Payment, PaymentOutcome, Refund},
};

/// Where the request wants the order to go.
pub(super) fn raw_destination(destination: &proto::create_order_request::Destination) -> RawDestination<'_> {
    use proto::create_order_request::Destination;
    match destination {
        Destination::AddressId(id) => RawDestination::Book(id),
        Destination::ShippingAddress(address) => RawDestination::Address(RawAddress {
            recipient: &address.recipient,
            line1: &address.line1,
            line2: &address.line2,
            city: &address.city,
            region: &address.region,
            postal_code: &address.postal_code,
            country: &address.country,
        }),
    }
}

/// The status a listing asks for; unspecified is any.
pub(super) fn status(number: i32) -> Result<Option<Status>, Invalid> {
    let unknown = || Invalid::field("status", "is not a status of an order");
    Ok(Some(match proto::OrderStatus::try_from(number).map_err(|_| unknown())? {
        proto::OrderStatus::Unspecified => return Ok(None),
        proto::OrderStatus::Pending => Status::Pending,
        proto::OrderStatus::Reserved => Status::Reserved,
        proto::OrderStatus::Rejected => Status::Rejected,
        proto::OrderStatus::Paid => Status::Paid,
        proto::OrderStatus::Shipped => Status::Shipped,
        proto::OrderStatus::Delivered => Status::Delivered,
        proto::OrderStatus::Cancelled => Status::Cancelled,
        proto::OrderStatus::Expired => Status::Expired,
        proto::OrderStatus::Refunded => Status::Refunded,
    }))
}

/// What a payment and a refund have in common.
pub(super) fn reference_and_amount(
    reference: &str,
    amount: Option<&types::Money>,
) -> Result<(Reference, Money), Invalid> {
    let mut invalid = Invalid::default();
    let reference = invalid.take("/reference", Reference::parse(reference));
    let amount = if let Some(amount) = amount {
        parse_amount(&mut invalid, amount.amount, &amount.currency)
    } else {
        invalid.refuse("/amount", "is required");
        None
    };
    invalid.or(reference.zip(amount))
}

impl From<Status> for proto::OrderStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Reserved => Self::Reserved,
            Status::Rejected => Self::Rejected,
            Status::Paid => Self::Paid,
            Status::Shipped => Self::Shipped,
            Status::Delivered => Self::Delivered,
            Status::Cancelled => Self::Cancelled,
            Status::Expired => Self::Expired,
            Status::Refunded => Self::Refunded,
        }
    }
}

impl From<Reason> for proto::OrderReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::OutOfStock => Self::OutOfStock,
            Reason::ProductNotOrderable => Self::ProductNotOrderable,
            Reason::UserNotAllowed => Self::UserNotAllowed,
            Reason::TotalTooLarge => Self::TotalTooLarge,
            Reason::CancelledByCustomer => Self::CancelledByCustomer,
            Reason::CancelledByStaff => Self::CancelledByStaff,
            Reason::PaymentOverdue => Self::PaymentOverdue,
        }
    }
}

fn reason(reason: Option<Reason>) -> i32 {
    reason.map_or(proto::OrderReason::Unspecified, proto::OrderReason::from).into()
}

impl From<Order> for proto::Order {
    fn from(order: Order) -> Self {
        Self {
            id: order.id.to_string(),
            user_id: order.user_id.to_string(),
            status: proto::OrderStatus::from(order.status).into(),
            refund_due: order.dues.first().copied().map(money),
            items: order.items.into_iter().map(Into::into).collect(),
            total: order.total.map(money),
            shipping_address: Some(order.address.into()),
            reason: reason(order.reason),
            expires_at: order.expires_at.map(timestamp),
            version: order.version,
            created_at: Some(timestamp(order.created_at)),
            updated_at: Some(timestamp(order.updated_at)),
        }
    }
}

impl From<Item> for proto::OrderItem {
    fn from(item: Item) -> Self {
        let unpriced =
            Self { product_id: item.line.product_id.to_string(), quantity: item.line.quantity, ..Self::default() };
        match item.answer {
            ItemAnswer::None | ItemAnswer::Refused(_) => unpriced,
            ItemAnswer::Priced(priced) => Self {
                sku: priced.sku,
                name: priced.name,
                unit_price: Some(money(priced.unit_price)),
                line_total: Some(money(priced.line_total)),
                ..unpriced
            },
        }
    }
}

impl From<ShippingAddress> for types::PostalAddress {
    fn from(address: ShippingAddress) -> Self {
        Self {
            recipient: address.recipient,
            line1: address.line1,
            line2: address.line2.unwrap_or_default(),
            city: address.city,
            region: address.region.unwrap_or_default(),
            postal_code: address.postal_code,
            country: address.country,
        }
    }
}

impl From<HistoryEntry> for proto::HistoryEntry {
    fn from(entry: HistoryEntry) -> Self {
        Self {
            version: entry.version,
            from: entry.from.map_or(proto::OrderStatus::Unspecified, Into::into).into(),
            to: proto::OrderStatus::from(entry.to).into(),
            actor: entry.actor,
            reason: reason(entry.reason),
            at: Some(timestamp(entry.at)),
            note: entry.note.unwrap_or_default(),
        }
    }
}

impl From<Sighting> for proto::WatchOrderResponse {
    fn from(sighting: Sighting) -> Self {
        match sighting {
            Sighting::Changed(entry) => Self { entry: Some(entry.into()), finished: false },
            Sighting::Quiet => Self::default(),
            Sighting::Finished => Self { entry: None, finished: true },
        }
    }
}

impl From<Payment> for proto::Payment {
    fn from(payment: Payment) -> Self {
        Self {
            id: payment.id.to_string(),
            order_id: payment.order_id.to_string(),
            reference: payment.reference,
            amount: Some(money(payment.amount)),
            outcome: match payment.outcome {
                PaymentOutcome::Applied => proto::PaymentOutcome::Applied,
                PaymentOutcome::RefundDue => proto::PaymentOutcome::RefundDue,
            }
            .into(),
            recorded_at: Some(timestamp(payment.recorded_at)),
        }
    }
}

impl From<Refund> for proto::Refund {
    fn from(refund: Refund) -> Self {
        Self {
            id: refund.id.to_string(),
            order_id: refund.order_id.to_string(),
            reference: refund.reference,
            amount: Some(money(refund.amount)),
            restock: refund.restock,
            recorded_at: Some(timestamp(refund.recorded_at)),
        }
    }
}

impl From<Paid> for proto::RecordPaymentResponse {
    fn from(paid: Paid) -> Self {
        Self { payment: Some(paid.payment.into()), order: Some(paid.order.into()), replayed: paid.replayed }
    }
}

impl From<Refunded> for proto::RefundOrderResponse {
    fn from(refunded: Refunded) -> Self {
        let Refunded { refund, order, replayed, .. } = refunded;
        Self { refund: Some(refund.into()), order: Some(order.into()), replayed }
    }
}

fn money(money: Money) -> types::Money {
    types::Money { amount: money.amount(), currency: money.currency().to_string() }
}

fn timestamp(at: Instant) -> Timestamp {
    let micros = at.as_micros();
    // The remainder is below a million.
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or_default();
    Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}
