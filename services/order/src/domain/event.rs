//! What others are told of an order: one event for each version, with the order as that version has it.

use serde_json::{Value, json};
use shop_types::{Instant, Money};

use super::{Event, Item, ItemAnswer, Order, Reason};

/// What made a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The first: the order was placed.
    Placed,
    /// Its status changed.
    Moved(Event),
    /// Money came in that is owed back.
    DueAdded,
    /// What was owed went back.
    DueSettled,
}

impl Change {
    /// The event's type.
    pub(crate) const fn event_type(self) -> &'static str {
        match self {
            Self::Placed => "order.created",
            Self::Moved(Event::Reserve) => "order.reserved",
            Self::Moved(Event::Reject) => "order.rejected",
            Self::Moved(Event::Cancel) => "order.cancelled",
            Self::Moved(Event::Pay) => "order.paid",
            Self::Moved(Event::Expire) => "order.expired",
            Self::Moved(Event::Ship) => "order.shipped",
            Self::Moved(Event::Deliver) => "order.delivered",
            Self::Moved(Event::Refund) => "order.refunded",
            Self::DueAdded => "order.refund_due",
            Self::DueSettled => "order.refund_settled",
        }
    }
}

/// An event's data: the order, without its address. Consumers that need that have the order's id.
pub(crate) fn event_data(order: &Order) -> Value {
    json!({
        "id": order.id,
        "user_id": order.user_id,
        "status": order.status.as_str(),
        "version": order.version,
        "items": order.items.iter().map(item).collect::<Vec<_>>(),
        "total": order.total.map(money),
        "reason": order.reason.map(Reason::as_str),
        "expires_at": order.expires_at.map(time),
        "refund_due": order.dues.first().copied().map(money),
        "created_at": time(order.created_at),
        "updated_at": time(order.updated_at),
    })
}

fn item(item: &Item) -> Value {
    let mut data = json!({ "product_id": item.line.product_id, "quantity": item.line.quantity });
    if let ItemAnswer::Priced(priced) = &item.answer {
        data["sku"] = json!(priced.sku);
        data["name"] = json!(priced.name);
        data["unit_price"] = money(priced.unit_price);
        data["line_total"] = money(priced.line_total);
    }
    data
}

fn money(money: Money) -> Value {
    json!({ "amount": money.amount(), "currency": money.currency().as_str() })
}

fn time(at: Instant) -> String {
    at.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those who take events read there which there are.
    #[test]
    fn the_conventions_list_every_type() {
        let text = std::fs::read_to_string("../../docs/API.md").unwrap();
        let section = text.split("\n## Events for other systems\n").nth(1).unwrap().split("\n## ").next().unwrap();
        let named = section.split('`').filter(|word| word.starts_with("order."));
        let moves = Event::ALL.iter().copied().map(Change::Moved);
        let all = [Change::Placed].into_iter().chain(moves).chain([Change::DueAdded, Change::DueSettled]);
        assert_eq!(named.collect::<Vec<_>>(), all.map(Change::event_type).collect::<Vec<_>>());
    }
}
