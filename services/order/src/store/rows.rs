//! Between rows and the domain's types.

use sea_orm::ActiveValue::{NotSet, Set};
use shop_storage::StorageError;
use shop_types::{Instant, Money, Uuid};

use super::{
    corrupt,
    entity::{Address, due, history, item, order},
};
use crate::domain::{HistoryEntry, Item, ItemAnswer, Line, LineRefusal, Order, Priced, Reason, Status};

const OUT_OF_STOCK: &str = "out_of_stock";
const NOT_ORDERABLE: &str = "not_orderable";

pub(super) fn money(amount: i64, currency: &str) -> Result<Money, StorageError> {
    currency.parse().map(|currency| Money::new(amount, currency)).map_err(|_| corrupt("currency", currency))
}

pub(super) fn status(name: &str) -> Result<Status, StorageError> {
    Status::parse(name).ok_or_else(|| corrupt("order status", name))
}

pub(super) fn reason(name: Option<&str>) -> Result<Option<Reason>, StorageError> {
    name.map(|name| Reason::parse(name).ok_or_else(|| corrupt("order reason", name))).transpose()
}

/// An order from its row and the rows that belong to it, in any order.
pub(super) fn order(row: order::Model, items: Vec<item::Model>, dues: &[due::Model]) -> Result<Order, StorageError> {
    let total = match (row.total_amount, &row.total_currency) {
        (Some(amount), Some(currency)) => Some(money(amount, currency)?),
        _ => None,
    };
    let order = Order {
        id: row.id,
        user_id: row.user_id,
        status: status(&row.status)?,
        items: items.into_iter().map(to_item).collect::<Result<_, _>>()?,
        total,
        address: row.address.0,
        reason: reason(row.reason.as_deref())?,
        expires_at: row.expires_at.map(Instant::from_micros),
        dues: Vec::new(),
        version: row.version,
        created_at: Instant::from_micros(row.created_at),
        updated_at: Instant::from_micros(row.updated_at),
    };
    dues.iter().try_fold(order, |order, due| Ok(order.with_due(money(due.amount, &due.currency)?)))
}

pub(super) fn order_row(order: &Order) -> order::ActiveModel {
    order::ActiveModel {
        id: Set(order.id),
        user_id: Set(order.user_id),
        status: Set(order.status.as_str().to_owned()),
        total_amount: Set(order.total.map(Money::amount)),
        total_currency: Set(order.total.map(|total| total.currency().to_string())),
        address: Set(Address(order.address.clone())),
        reason: Set(order.reason.map(|reason| reason.as_str().to_owned())),
        expires_at: Set(order.expires_at.map(Instant::as_micros)),
        version: Set(order.version),
        created_at: Set(order.created_at.as_micros()),
        updated_at: Set(order.updated_at.as_micros()),
    }
}

/// What a new version of an order may write. The rest never changes; and were the primary key written, if only with the
/// value it has, SQLite would look through every table that refers to it.
pub(super) fn changed_order_row(order: &Order) -> order::ActiveModel {
    order::ActiveModel { id: NotSet, user_id: NotSet, address: NotSet, created_at: NotSet, ..order_row(order) }
}

fn to_item(row: item::Model) -> Result<Item, StorageError> {
    let line = Line { product_id: row.product_id, quantity: row.quantity };
    let answer = match (row.refusal.as_deref(), row.unit_amount, row.line_amount, &row.currency) {
        (Some(OUT_OF_STOCK), ..) => {
            ItemAnswer::Refused(LineRefusal::OutOfStock { available: row.available_then.unwrap_or(0) })
        }
        (Some(NOT_ORDERABLE), ..) => ItemAnswer::Refused(LineRefusal::NotOrderable),
        (Some(other), ..) => return Err(corrupt("refusal", other)),
        (None, Some(unit), Some(total), Some(currency)) => ItemAnswer::Priced(Priced {
            sku: row.sku.unwrap_or_default(),
            name: row.name.unwrap_or_default(),
            unit_price: money(unit, currency)?,
            line_total: money(total, currency)?,
        }),
        (None, ..) => ItemAnswer::None,
    };
    Ok(Item { line, answer })
}

pub(super) fn item_row(order_id: Uuid, position: usize, item: &Item) -> item::ActiveModel {
    let (priced, refusal) = match &item.answer {
        ItemAnswer::None => (None, None),
        ItemAnswer::Priced(priced) => (Some(priced), None),
        ItemAnswer::Refused(refusal) => (None, Some(refusal)),
    };
    let (refusal, available_then) = match refusal {
        None => (None, None),
        Some(LineRefusal::OutOfStock { available }) => (Some(OUT_OF_STOCK.to_owned()), Some(*available)),
        Some(LineRefusal::NotOrderable) => (Some(NOT_ORDERABLE.to_owned()), None),
    };
    item::ActiveModel {
        order_id: Set(order_id),
        // At most a hundred.
        position: Set(i32::try_from(position).unwrap_or(i32::MAX)),
        product_id: Set(item.line.product_id),
        quantity: Set(item.line.quantity),
        sku: Set(priced.map(|priced| priced.sku.clone())),
        name: Set(priced.map(|priced| priced.name.clone())),
        unit_amount: Set(priced.map(|priced| priced.unit_price.amount())),
        line_amount: Set(priced.map(|priced| priced.line_total.amount())),
        currency: Set(priced.map(|priced| priced.unit_price.currency().to_string())),
        refusal: Set(refusal),
        available_then: Set(available_then),
    }
}

pub(super) fn history_entry(row: history::Model) -> Result<HistoryEntry, StorageError> {
    Ok(HistoryEntry {
        version: row.version,
        from: row.from_status.as_deref().map(status).transpose()?,
        to: status(&row.to_status)?,
        actor: row.actor,
        reason: reason(row.reason.as_deref())?,
        at: Instant::from_micros(row.at),
        note: row.note,
    })
}
