//! Between the contracts' messages and the domain.

use prost_types::Timestamp;
use shop_proto::{product as proto, types};
use shop_types::{Instant, Money, Uuid};

use crate::domain::{
    Adjustment, Availability, Category, Invalid, Line, Product, ProductStatus, RefusalReason, RefusedLine, Reservation,
    ReservedLine, Sort, Stock,
};

impl From<Product> for proto::Product {
    fn from(product: Product) -> Self {
        Self {
            id: product.id.to_string(),
            sku: product.sku,
            slug: product.slug,
            name: product.name,
            description: product.description,
            price: Some(money(product.price)),
            attributes: product.attributes.into_map().into_iter().collect(),
            image_url: product.image_url.unwrap_or_default(),
            category_id: product.category_id.map(|id| id.to_string()).unwrap_or_default(),
            status: proto::ProductStatus::from(product.status).into(),
            version: product.version,
            created_at: Some(timestamp(product.created_at)),
            updated_at: Some(timestamp(product.updated_at)),
        }
    }
}

impl From<Category> for proto::Category {
    fn from(category: Category) -> Self {
        Self {
            id: category.id.to_string(),
            slug: category.slug,
            name: category.name,
            parent_id: category.parent_id.map(|id| id.to_string()).unwrap_or_default(),
            version: category.version,
        }
    }
}

impl From<ProductStatus> for proto::ProductStatus {
    fn from(status: ProductStatus) -> Self {
        match status {
            ProductStatus::Active => Self::Active,
            ProductStatus::Archived => Self::Archived,
        }
    }
}

impl From<Availability> for proto::Availability {
    fn from(availability: Availability) -> Self {
        let Availability { product_id, available } = availability;
        Self { product_id: product_id.to_string(), available, in_stock: available > 0 }
    }
}

impl From<Adjustment> for proto::Adjustment {
    fn from(adjustment: Adjustment) -> Self {
        Self {
            id: adjustment.id.to_string(),
            delta: adjustment.delta,
            reason: adjustment.reason,
            actor: adjustment.actor,
            at: Some(timestamp(adjustment.at)),
            inventory: Some(inventory(adjustment.product_id, adjustment.stock)),
        }
    }
}

impl From<Reservation> for proto::ReserveResponse {
    fn from(reservation: Reservation) -> Self {
        use proto::reserve_response::Outcome;
        let outcome = match reservation {
            Reservation::Reserved(lines) => {
                Outcome::Reserved(proto::Reserved { lines: lines.into_iter().map(Into::into).collect() })
            }
            Reservation::Refused(lines) => {
                Outcome::Refused(proto::Refused { lines: lines.into_iter().map(Into::into).collect() })
            }
        };
        Self { outcome: Some(outcome) }
    }
}

impl From<ReservedLine> for proto::ReservedLine {
    fn from(reserved: ReservedLine) -> Self {
        let Line { product_id, quantity } = reserved.line;
        Self {
            product_id: product_id.to_string(),
            quantity: quantity.pieces(),
            sku: reserved.sku,
            name: reserved.name,
            unit_price: Some(money(reserved.unit_price)),
        }
    }
}

impl From<RefusedLine> for proto::RefusedLine {
    fn from(refused: RefusedLine) -> Self {
        let (reason, available) = match refused.reason {
            RefusalReason::OutOfStock { available } => (proto::RefusalReason::OutOfStock, available),
            RefusalReason::NotOrderable => (proto::RefusalReason::NotOrderable, 0),
        };
        Self { product_id: refused.product_id.to_string(), reason: reason.into(), available }
    }
}

pub(super) fn inventory(product_id: Uuid, stock: Stock) -> proto::Inventory {
    proto::Inventory {
        product_id: product_id.to_string(),
        on_hand: stock.on_hand(),
        reserved: stock.reserved(),
        available: stock.available(),
    }
}

fn money(money: Money) -> types::Money {
    types::Money { amount: money.amount(), currency: money.currency().as_str().to_owned() }
}

/// A price before it is checked.
pub(super) fn raw_price(price: Option<&types::Money>) -> Option<(i64, &str)> {
    price.map(|price| (price.amount, price.currency.as_str()))
}

const MICROS_PER_SECOND: i64 = 1_000_000;
const NANOS_PER_MICRO: i32 = 1_000;

fn timestamp(instant: Instant) -> Timestamp {
    let micros = instant.as_micros().rem_euclid(MICROS_PER_SECOND);
    // Below a million, so it fits.
    let nanos = i32::try_from(micros).unwrap_or_default() * NANOS_PER_MICRO;
    Timestamp { seconds: instant.as_seconds(), nanos }
}

pub(super) fn instant(timestamp: Option<&Timestamp>, pointer: &str) -> Result<Instant, Invalid> {
    let timestamp = timestamp.ok_or_else(|| Invalid::field(pointer, "is required"))?;
    let micros = timestamp
        .seconds
        .checked_mul(MICROS_PER_SECOND)
        .and_then(|micros| micros.checked_add(i64::from(timestamp.nanos / NANOS_PER_MICRO)));
    micros.map(Instant::from_micros).ok_or_else(|| Invalid::field(pointer, "is beyond what can be stored"))
}

pub(super) fn id(text: &str, pointer: &str) -> Result<Uuid, Invalid> {
    Uuid::try_parse(text).map_err(|_| Invalid::field(pointer, "must be a UUID"))
}

/// A status in a request; `None` when unspecified.
pub(super) fn status(number: i32, pointer: &str) -> Result<Option<ProductStatus>, Invalid> {
    match proto::ProductStatus::try_from(number) {
        Ok(proto::ProductStatus::Unspecified) => Ok(None),
        Ok(proto::ProductStatus::Active) => Ok(Some(ProductStatus::Active)),
        Ok(proto::ProductStatus::Archived) => Ok(Some(ProductStatus::Archived)),
        Err(_) => Err(Invalid::field(pointer, "must be active or archived")),
    }
}

pub(super) fn sort(number: i32) -> Result<Sort, Invalid> {
    match proto::ProductSort::try_from(number) {
        Ok(proto::ProductSort::Unspecified) => Ok(Sort::Newest),
        Ok(proto::ProductSort::PriceAsc) => Ok(Sort::PriceAscending),
        Ok(proto::ProductSort::PriceDesc) => Ok(Sort::PriceDescending),
        Ok(proto::ProductSort::Name) => Ok(Sort::Name),
        Err(_) => Err(Invalid::field("sort", "must be created_at, price, -price or name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_the_wire() {
        for micros in [0, 1, -1, 1_795_000_000_123_456, -62_135_596_800_000_000] {
            let instant_there = Instant::from_micros(micros);
            assert_eq!(instant(Some(&timestamp(instant_there)), "/at"), Ok(instant_there));
        }
        assert!(instant(None, "/at").is_err());
        assert!(instant(Some(&Timestamp { seconds: i64::MAX, nanos: 0 }), "/at").is_err());
    }
}
