//! An order: what was ordered by whom, where it goes, what it costs and what is owed back.

use std::fmt;

use serde::{Deserialize, Serialize};
use shop_types::{Instant, Money, MoneyError, PostalAddress, Uuid};

use super::Status;

/// Why an order is rejected, cancelled or expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    OutOfStock,
    ProductNotOrderable,
    UserNotAllowed,
    TotalTooLarge,
    CancelledByCustomer,
    CancelledByStaff,
    PaymentOverdue,
}

impl Reason {
    const ALL: &[Self] = &[
        Self::OutOfStock,
        Self::ProductNotOrderable,
        Self::UserNotAllowed,
        Self::TotalTooLarge,
        Self::CancelledByCustomer,
        Self::CancelledByStaff,
        Self::PaymentOverdue,
    ];

    /// The name in databases, events and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::OutOfStock => "out_of_stock",
            Self::ProductNotOrderable => "product_not_orderable",
            Self::UserNotAllowed => "user_not_allowed",
            Self::TotalTooLarge => "total_too_large",
            Self::CancelledByCustomer => "cancelled_by_customer",
            Self::CancelledByStaff => "cancelled_by_staff",
            Self::PaymentOverdue => "payment_overdue",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }
}

/// Who changed an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor {
    User(Uuid),
    /// The saga or the clock.
    Order,
    /// The payment provider, by its signed notice.
    PaymentProvider,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::Order => f.write_str("order"),
            Self::PaymentProvider => f.write_str("payment-provider"),
        }
    }
}

/// Where the parcel goes, as it was when the order was placed. Checked then; later rules don't reach back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShippingAddress {
    pub(crate) recipient: String,
    pub(crate) line1: String,
    pub(crate) line2: Option<String>,
    pub(crate) city: String,
    pub(crate) region: Option<String>,
    pub(crate) postal_code: String,
    pub(crate) country: String,
}

impl From<&PostalAddress> for ShippingAddress {
    fn from(address: &PostalAddress) -> Self {
        Self {
            recipient: address.recipient().to_owned(),
            line1: address.line1().to_owned(),
            line2: address.line2().map(str::to_owned),
            city: address.city().to_owned(),
            region: address.region().map(str::to_owned),
            postal_code: address.postal_code().to_owned(),
            country: address.country().to_owned(),
        }
    }
}

/// So many pieces of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) product_id: Uuid,
    pub(crate) quantity: i64,
}

/// One product of an order. Products are merged, so each stands once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) line: Line,
    pub(crate) answer: ItemAnswer,
}

/// What product said to a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ItemAnswer {
    /// Nothing yet, or nothing against it.
    None,
    /// Held, under this name and at this price.
    Priced(Priced),
    Refused(LineRefusal),
}

/// Name and price of a line, fixed when its stock was reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Priced {
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) unit_price: Money,
    pub(crate) line_total: Money,
}

/// Why a line can't be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineRefusal {
    OutOfStock {
        /// What could have been had.
        available: i64,
    },
    /// Unknown or archived.
    NotOrderable,
}

/// The sum of the lines that are priced; `None` when there are none.
pub(crate) fn total(items: &[Item]) -> Result<Option<Money>, MoneyError> {
    let mut sum: Option<Money> = None;
    for item in items {
        if let ItemAnswer::Priced(priced) = &item.answer {
            sum = Some(match sum {
                Some(sum) => sum.checked_add(priced.line_total)?,
                None => priced.line_total,
            });
        }
    }
    Ok(sum)
}

/// An order as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) status: Status,
    /// In the order in which the request named the products first.
    pub(crate) items: Vec<Item>,
    /// Set once stock was reserved.
    pub(crate) total: Option<Money>,
    pub(crate) address: ShippingAddress,
    pub(crate) reason: Option<Reason>,
    /// When an unpaid reservation lapses; unset once that no longer matters.
    pub(crate) expires_at: Option<Instant>,
    /// What the shop owes back, one amount for each currency, the total's first.
    pub(crate) dues: Vec<Money>,
    /// Grows by one with each change.
    pub(crate) version: i64,
    pub(crate) created_at: Instant,
    pub(crate) updated_at: Instant,
}

impl Order {
    /// The order with another amount owed back in the currency of `due`; zero is nothing.
    #[must_use]
    pub(crate) fn with_due(mut self, due: Money) -> Self {
        self.dues.retain(|other| other.currency() != due.currency());
        if due.amount() > 0 {
            self.dues.push(due);
        }
        let first = self.total.map(Money::currency);
        self.dues.sort_by_key(|due| (Some(due.currency()) != first, due.currency()));
        self
    }

    /// What is owed back in the currency of `amount`.
    pub(crate) fn due_like(&self, amount: Money) -> Option<Money> {
        self.dues.iter().copied().find(|due| due.currency() == amount.currency())
    }
}

/// One change of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HistoryEntry {
    /// The version the change made.
    pub(crate) version: i64,
    /// `None` for the first.
    pub(crate) from: Option<Status>,
    pub(crate) to: Status,
    /// [`Actor`] as text.
    pub(crate) actor: String,
    pub(crate) reason: Option<Reason>,
    pub(crate) at: Instant,
    /// What a person wrote when cancelling.
    pub(crate) note: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(line_total: i64, currency: &str) -> Item {
        let price = Money::new(line_total, currency.parse().unwrap());
        let priced = Priced { sku: "A".into(), name: "A".into(), unit_price: price, line_total: price };
        Item { line: Line { product_id: Uuid::nil(), quantity: 1 }, answer: ItemAnswer::Priced(priced) }
    }

    #[test]
    fn the_total_is_the_sum_of_the_lines_or_nothing() {
        assert_eq!(total(&[]), Ok(None));
        assert_eq!(total(&[item(2, "USD"), item(3, "USD")]), Ok(Some(Money::new(5, "USD".parse().unwrap()))));
        assert_eq!(total(&[item(i64::MAX, "USD"), item(1, "USD")]), Err(MoneyError::Overflow));
        assert_eq!(total(&[item(2, "USD"), item(3, "EUR")]), Err(MoneyError::CurrencyMismatch));
    }
}
