//! Stock: what can be bought, what is there, and how it came to be.

use serde::{Deserialize, Serialize};
use shop_proto::product;
use utoipa::ToSchema;

use super::{BadReply, Id, Timestamp, required};

/// How many of a product can be bought now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({"product_id": "0198c9a5-7d3e-7c4e-9d0a-3f1f5f0a1b2c", "available": 42, "in_stock": true})))]
pub(crate) struct Availability {
    /// The product.
    pub product_id: Id,
    /// What is on hand and not reserved.
    #[schema(minimum = 0)]
    pub available: i64,
    /// Whether there is any.
    pub in_stock: bool,
}

impl TryFrom<product::Availability> for Availability {
    type Error = BadReply;

    fn try_from(wire: product::Availability) -> Result<Self, BadReply> {
        Ok(Self { product_id: wire.product_id.try_into()?, available: wire.available, in_stock: wire.in_stock })
    }
}

/// The stock of a product: `on_hand = available + reserved`, always.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "product_id": "0198c9a5-7d3e-7c4e-9d0a-3f1f5f0a1b2c", "on_hand": 50, "reserved": 8, "available": 42
})))]
pub(crate) struct Inventory {
    /// The product.
    pub product_id: Id,
    /// What is in the warehouse.
    #[schema(minimum = 0)]
    pub on_hand: i64,
    /// What is held for orders.
    #[schema(minimum = 0)]
    pub reserved: i64,
    /// What can be bought.
    #[schema(minimum = 0)]
    pub available: i64,
}

impl TryFrom<product::Inventory> for Inventory {
    type Error = BadReply;

    fn try_from(wire: product::Inventory) -> Result<Self, BadReply> {
        let product_id = wire.product_id.try_into()?;
        Ok(Self { product_id, on_hand: wire.on_hand, reserved: wire.reserved, available: wire.available })
    }
}

/// A change to the stock on hand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"delta": 50, "reason": "delivery 4711"})))]
pub(crate) struct NewAdjustment {
    /// What is added; what is taken away when negative. Never 0.
    #[schema(minimum = -1_000_000_000_000_i64, maximum = 1_000_000_000_000_i64)]
    pub delta: i64,
    /// Why, for the ledger.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

impl NewAdjustment {
    /// The call that makes the change to a product's stock, once for the key.
    pub(crate) fn into_request(self, product_id: Id, idempotency_key: String) -> product::AdjustInventoryRequest {
        let Self { delta, reason } = self;
        product::AdjustInventoryRequest { product_id: product_id.into(), delta, reason, idempotency_key }
    }
}

/// An entry of the stock ledger.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": "0198c9a5-aaaa-7c4e-9d0a-3f1f5f0a1b2c", "delta": 50, "reason": "delivery 4711",
    "actor": "0198c9a5-7777-7c4e-9d0a-3f1f5f0a1b2c", "at": "2026-11-22T09:00:00Z",
    "inventory": {"product_id": "0198c9a5-7d3e-7c4e-9d0a-3f1f5f0a1b2c", "on_hand": 50, "reserved": 8, "available": 42}
})))]
pub(crate) struct Adjustment {
    /// Its id.
    pub id: Id,
    /// What was added; what was taken away when negative.
    pub delta: i64,
    /// Why.
    pub reason: String,
    /// The user who made it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
    /// The stock right after it.
    pub inventory: Inventory,
}

impl TryFrom<product::Adjustment> for Adjustment {
    type Error = BadReply;

    fn try_from(wire: product::Adjustment) -> Result<Self, BadReply> {
        Ok(Self {
            id: wire.id.try_into()?,
            delta: wire.delta,
            reason: wire.reason,
            actor: wire.actor,
            at: required(wire.at, "at")?,
            inventory: required(wire.inventory, "inventory")?,
        })
    }
}
