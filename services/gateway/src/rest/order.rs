//! Orders and how they came to be what they are.

use serde::{Deserialize, Serialize};
use shop_proto::order;
use utoipa::{IntoParams, ToSchema};

use super::{
    BadReply, Cursor, Id, Limit, Money, Page, PostalAddress, Timestamp, none_if_empty, optional, required, wire_enum,
};
use crate::problem::Problem;

wire_enum! {
    /// Where an order is in its life.
    OrderStatus = order::OrderStatus {
        /// Being settled.
        Pending,
        /// Stock is held until it is paid or lapses.
        Reserved,
        /// Could not be had; `reason` says why.
        Rejected,
        /// Paid.
        Paid,
        /// On its way.
        Shipped,
        /// Arrived.
        Delivered,
        /// Called off.
        Cancelled,
        /// Not paid in time.
        Expired,
        /// Money returned after shipping.
        Refunded,
    }
}

wire_enum! {
    /// Why an order is rejected, cancelled or expired.
    OrderReason = order::OrderReason {
        /// Some line can't be had in the quantity ordered.
        OutOfStock,
        /// Some product is unknown or archived.
        ProductNotOrderable,
        /// The user was disabled or deleted.
        UserNotAllowed,
        /// The total is beyond what can be represented.
        TotalTooLarge,
        /// Called off by who placed it.
        CancelledByCustomer,
        /// Called off by staff.
        CancelledByStaff,
        /// Not paid in time.
        PaymentOverdue,
    }
}

/// A line of an order, at the price and name it was reserved with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrderItem {
    /// The product.
    pub product_id: Id,
    /// Its number at that time; `null` while nothing is reserved.
    #[schema(required)]
    pub sku: Option<String>,
    /// Its name at that time; `null` while nothing is reserved.
    #[schema(required)]
    pub name: Option<String>,
    /// How many.
    #[schema(minimum = 1)]
    pub quantity: i64,
    /// What one costs; `null` while nothing is reserved.
    #[schema(required)]
    pub unit_price: Option<Money>,
    /// What the line costs; `null` while nothing is reserved.
    #[schema(required)]
    pub line_total: Option<Money>,
}

impl TryFrom<order::OrderItem> for OrderItem {
    type Error = BadReply;

    fn try_from(wire: order::OrderItem) -> Result<Self, BadReply> {
        Ok(Self {
            product_id: wire.product_id.try_into()?,
            sku: none_if_empty(wire.sku),
            name: none_if_empty(wire.name),
            quantity: wire.quantity,
            unit_price: optional(wire.unit_price)?,
            line_total: optional(wire.line_total)?,
        })
    }
}

/// The order of the document's examples, as it is at some point of its life.
pub(super) fn example(status: &str, version: i64, updated_at: &str) -> serde_json::Value {
    serde_json::json!({
        "id": "0198c9a5-8888-7c4e-9d0a-3f1f5f0a1b2c", "user_id": "0198c9a5-7777-7c4e-9d0a-3f1f5f0a1b2c", "status": status,
        "items": [{
            "product_id": "0198c9a5-7d3e-7c4e-9d0a-3f1f5f0a1b2c", "sku": "MUG-BLUE-350", "name": "Blue mug", "quantity": 2,
            "unit_price": {"amount": 1999, "currency": "USD"}, "line_total": {"amount": 3998, "currency": "USD"}
        }],
        "total": {"amount": 3998, "currency": "USD"},
        "shipping_address": {
            "recipient": "Ada Lovelace", "line1": "Unter den Linden 1", "line2": null, "city": "Berlin", "region": null,
            "postal_code": "10117", "country": "DE"
        },
        "reason": null, "expires_at": (status == "reserved").then_some("2026-11-22T09:15:00Z"), "refund_due": null, "version": version,
        "created_at": "2026-11-22T09:00:00Z", "updated_at": updated_at
    })
}

/// An order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!(example("reserved", 2, "2026-11-22T09:00:00.5Z"))))]
pub(crate) struct Order {
    /// Its id.
    pub id: Id,
    /// Who placed it.
    pub user_id: Id,
    /// Where it is in its life.
    pub status: OrderStatus,
    /// What was ordered, each product once.
    #[schema(min_items = 1, max_items = 100)]
    pub items: Vec<OrderItem>,
    /// What it costs; `null` while nothing is reserved.
    #[schema(required)]
    pub total: Option<Money>,
    /// Where it goes, as it was when ordered.
    #[schema(required)]
    pub shipping_address: Option<PostalAddress>,
    /// Why it is rejected, cancelled or expired.
    #[schema(required)]
    pub reason: Option<OrderReason>,
    /// When an unpaid reservation lapses; `null` once paid.
    #[schema(required)]
    pub expires_at: Option<Timestamp>,
    /// What the shop owes back.
    #[schema(required)]
    pub refund_due: Option<Money>,
    /// Grows by one with each change.
    #[schema(minimum = 1)]
    pub version: i64,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A page of them.
pub(crate) type OrderPage = Page<Order>;

impl TryFrom<order::Order> for Order {
    type Error = BadReply;

    fn try_from(wire: order::Order) -> Result<Self, BadReply> {
        Ok(Self {
            id: wire.id.try_into()?,
            user_id: wire.user_id.try_into()?,
            status: OrderStatus::from_wire(wire.status)?.ok_or(BadReply("status"))?,
            items: wire.items.into_iter().map(OrderItem::try_from).collect::<Result<_, _>>()?,
            total: optional(wire.total)?,
            shipping_address: optional(wire.shipping_address)?,
            reason: OrderReason::from_wire(wire.reason)?,
            expires_at: optional(wire.expires_at)?,
            refund_due: optional(wire.refund_due)?,
            version: wire.version,
            created_at: required(wire.created_at, "created_at")?,
            updated_at: required(wire.updated_at, "updated_at")?,
        })
    }
}

/// How many of a product are wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrderItem {
    /// The product.
    pub product_id: Id,
    /// How many.
    #[schema(minimum = 1, maximum = 10_000)]
    pub quantity: i64,
}

impl From<NewOrderItem> for order::OrderLine {
    fn from(item: NewOrderItem) -> Self {
        Self { product_id: item.product_id.into(), quantity: item.quantity }
    }
}

/// What is ordered, and where it goes: `shipping_address` or `address_id`, one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({
    "items": [{"product_id": "0198c9a5-7d3e-7c4e-9d0a-3f1f5f0a1b2c", "quantity": 2}],
    "shipping_address": {
        "recipient": "Ada Lovelace", "line1": "Unter den Linden 1", "city": "Berlin", "postal_code": "10117", "country": "DE"
    }
})))]
pub(crate) struct NewOrder {
    /// What is ordered; the same product twice is merged.
    #[schema(min_items = 1, max_items = 100)]
    pub items: Vec<NewOrderItem>,
    /// One of the user's own addresses.
    pub address_id: Option<Id>,
    /// Where it goes.
    pub shipping_address: Option<PostalAddress>,
}

impl NewOrder {
    /// The call that places it, once for the key.
    pub(crate) fn into_request(self, idempotency_key: String) -> Result<order::CreateOrderRequest, Problem> {
        use order::create_order_request::Destination;
        // The contract has room for one of the two; that one is needed is the service's to say.
        let destination = match (self.address_id, self.shipping_address) {
            (Some(id), None) => Some(Destination::AddressId(id.into())),
            (None, Some(address)) => Some(Destination::ShippingAddress(address.into())),
            (None, None) => None,
            (Some(_), Some(_)) => {
                return Err(Problem::invalid("/address_id", "give a shipping_address or an address_id, not both"));
            }
        };
        let items = self.items.into_iter().map(Into::into).collect();
        Ok(order::CreateOrderRequest { idempotency_key, items, destination })
    }
}

/// The parameters of the listing of orders.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListOrdersQuery {
    /// Only orders in this state.
    #[param(inline)]
    pub status: Option<OrderStatus>,
    /// Only this user's orders, for staff.
    #[param(inline)]
    pub user_id: Option<Id>,
    /// Only orders with (`true`) or without (`false`) money to give back.
    pub refund_due: Option<bool>,
    /// How many items the page may hold.
    #[param(inline)]
    pub limit: Option<Limit>,
    /// The `next_cursor` of the page before.
    #[param(inline)]
    pub cursor: Option<Cursor>,
}

impl From<ListOrdersQuery> for order::ListOrdersRequest {
    fn from(query: ListOrdersQuery) -> Self {
        Self {
            limit: Limit::or_default(query.limit),
            cursor: Cursor::or_start(query.cursor),
            status: query.status.map_or(order::OrderStatus::Unspecified, Into::into).into(),
            user_id: query.user_id.map(Into::into).unwrap_or_default(),
            refund_due: query.refund_due,
        }
    }
}

/// A change of an order's state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "version": 2, "from": "pending", "to": "reserved", "actor": "order", "reason": null, "note": null,
    "at": "2026-11-22T09:00:00.5Z"
})))]
pub(crate) struct HistoryEntry {
    /// The version of the order that the change made.
    #[schema(minimum = 1)]
    pub version: i64,
    /// What it was; `null` for the first entry.
    #[schema(required)]
    pub from: Option<OrderStatus>,
    /// What it became.
    pub to: OrderStatus,
    /// A user's id, or the service that acted.
    pub actor: String,
    /// Why.
    #[schema(required)]
    pub reason: Option<OrderReason>,
    /// What the canceller wrote.
    #[schema(required)]
    pub note: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A page of them.
pub(crate) type HistoryPage = Page<HistoryEntry>;

impl TryFrom<order::HistoryEntry> for HistoryEntry {
    type Error = BadReply;

    fn try_from(wire: order::HistoryEntry) -> Result<Self, BadReply> {
        Ok(Self {
            version: wire.version,
            from: OrderStatus::from_wire(wire.from)?,
            to: OrderStatus::from_wire(wire.to)?.ok_or(BadReply("to"))?,
            actor: wire.actor,
            reason: OrderReason::from_wire(wire.reason)?,
            note: none_if_empty(wire.note),
            at: required(wire.at, "at")?,
        })
    }
}

/// Why an order is called off; may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"reason": "Ordered twice."})))]
pub(crate) struct Cancellation {
    /// In the canceller's own words.
    #[schema(max_length = 500)]
    pub reason: Option<String>,
}

/// An action that takes nothing: `{}`, `null`, or no body.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({})))]
pub(crate) struct Empty {}
