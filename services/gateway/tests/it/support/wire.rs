//! Messages of the contracts with everything set, for answers.

use prost_types::Timestamp;
use shop_proto::{order, product, types, user};

pub(crate) const ID: &str = "0198c9a5-7d3e-7c4e-9d0a-3f1f5f0a1b2c";
pub(crate) const USER_ID: &str = "0198c9a5-7777-7c4e-9d0a-3f1f5f0a1b2c";

#[expect(clippy::unnecessary_wraps, reason = "as fields of messages want it")]
pub(crate) fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 250_000 })
}

#[expect(clippy::unnecessary_wraps, reason = "as fields of messages want it")]
pub(crate) fn money(amount: i64) -> Option<types::Money> {
    Some(types::Money { amount, currency: "USD".into() })
}

pub(crate) fn user() -> user::User {
    user::User {
        id: USER_ID.into(),
        email: "ada@example.com".into(),
        display_name: "Ada".into(),
        role: user::Role::Customer.into(),
        disabled: false,
        created_at: at(0),
        updated_at: at(1),
    }
}

pub(crate) fn postal_address() -> types::PostalAddress {
    types::PostalAddress {
        recipient: "Ada".into(),
        line1: "Unter den Linden 1".into(),
        line2: String::new(),
        city: "Berlin".into(),
        region: String::new(),
        postal_code: "10117".into(),
        country: "DE".into(),
    }
}

pub(crate) fn address() -> user::Address {
    user::Address { id: ID.into(), label: String::new(), address: Some(postal_address()) }
}

pub(crate) fn product() -> product::Product {
    product::Product {
        id: ID.into(),
        sku: "MUG".into(),
        slug: "mug".into(),
        name: "Mug".into(),
        description: String::new(),
        price: money(1999),
        attributes: [("colour".to_owned(), "blue".to_owned())].into(),
        image_url: String::new(),
        status: product::ProductStatus::Active.into(),
        version: 7,
        created_at: at(0),
        updated_at: at(1),
        category_id: String::new(),
    }
}

/// A product with a page of text, which is worth compressing.
pub(crate) fn wordy_product_reply() -> product::GetProductResponse {
    let description = "Holds 350 ml, keeps warm, washes well. ".repeat(100);
    product::GetProductResponse { product: Some(product::Product { description, ..product() }) }
}

pub(crate) fn category() -> product::Category {
    product::Category { id: ID.into(), slug: "mugs".into(), name: "Mugs".into(), parent_id: String::new(), version: 4 }
}

pub(crate) fn product_reply() -> product::GetProductResponse {
    product::GetProductResponse { product: Some(product()) }
}

pub(crate) fn inventory() -> product::Inventory {
    product::Inventory { product_id: ID.into(), on_hand: 50, reserved: 8, available: 42 }
}

pub(crate) fn inventory_reply() -> product::GetInventoryResponse {
    product::GetInventoryResponse { inventory: Some(inventory()) }
}

pub(crate) fn adjustment() -> product::Adjustment {
    product::Adjustment {
        id: ID.into(),
        delta: -3,
        reason: "broken".into(),
        actor: USER_ID.into(),
        at: at(2),
        inventory: Some(inventory()),
    }
}

pub(crate) fn order() -> order::Order {
    order::Order {
        id: ID.into(),
        user_id: USER_ID.into(),
        status: order::OrderStatus::Reserved.into(),
        items: vec![order::OrderItem {
            product_id: ID.into(),
            quantity: 2,
            sku: "MUG".into(),
            name: "Mug".into(),
            unit_price: money(1999),
            line_total: money(3998),
        }],
        total: money(3998),
        shipping_address: Some(postal_address()),
        reason: 0,
        expires_at: at(900),
        refund_due: None,
        version: 2,
        created_at: at(0),
        updated_at: at(1),
    }
}

pub(crate) fn order_reply() -> order::GetOrderResponse {
    order::GetOrderResponse { order: Some(order()) }
}

pub(crate) fn payment() -> order::Payment {
    order::Payment {
        id: ID.into(),
        order_id: ID.into(),
        reference: "transfer-1".into(),
        amount: money(3998),
        outcome: order::PaymentOutcome::Applied.into(),
        recorded_at: at(3),
    }
}

pub(crate) fn refund() -> order::Refund {
    order::Refund {
        id: ID.into(),
        order_id: ID.into(),
        reference: "refund-1".into(),
        amount: money(3998),
        restock: true,
        recorded_at: at(4),
    }
}
