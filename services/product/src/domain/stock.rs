//! Stock: how many pieces there are, how many of them are promised, and adjustments by staff.

use shop_types::{Instant, Text, Uuid};

use super::{Check, Invalid};

/// Pieces of one product at most. Sums of what was committed and comes back stay far below 64 bits.
const MAX_ON_HAND: i64 = 1_000_000_000_000;
/// Pieces of one line at most: an order's 100 lines of 10,000 pieces, merged.
const MAX_QUANTITY: i64 = 1_000_000;
/// As much as fits a line of a ledger.
const MAX_REASON: usize = 500;
/// Bytes of an idempotency key at most.
const MAX_KEY: usize = 255;

/// Pieces of one product in one reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quantity(i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be from 1 to {MAX_QUANTITY}")]
pub(crate) struct InvalidQuantity;

impl Quantity {
    pub(crate) fn parse(pieces: i64) -> Result<Self, InvalidQuantity> {
        if (1..=MAX_QUANTITY).contains(&pieces) { Ok(Self(pieces)) } else { Err(InvalidQuantity) }
    }

    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Result<Self, InvalidQuantity> {
        Self::parse(self.0 + other.0)
    }

    pub(crate) fn pieces(self) -> i64 {
        self.0
    }
}

/// The stock of one product. `on_hand` is always `available + reserved`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stock {
    available: i64,
    reserved: i64,
}

impl Stock {
    /// A new product's.
    pub(crate) const EMPTY: Self = Self { available: 0, reserved: 0 };

    /// What was stored.
    pub(crate) const fn stored(available: i64, reserved: i64) -> Self {
        Self { available, reserved }
    }

    /// Pieces in the warehouse that are not committed to an order.
    pub(crate) fn on_hand(self) -> i64 {
        self.available + self.reserved
    }

    /// Pieces held for orders that are not paid yet.
    pub(crate) fn reserved(self) -> i64 {
        self.reserved
    }

    /// Pieces that can be ordered.
    pub(crate) fn available(self) -> i64 {
        self.available
    }

    /// The stock after an adjustment: never less than what is reserved, never more than can be counted safely.
    pub(crate) fn adjusted(self, delta: i64) -> Result<Self, AdjustmentError> {
        let available = self.available.checked_add(delta).ok_or(AdjustmentError::TooMuch)?;
        if available < 0 {
            return Err(AdjustmentError::BelowReserved(self));
        }
        let adjusted = Self { available, ..self };
        if adjusted.on_hand() > MAX_ON_HAND { Err(AdjustmentError::TooMuch) } else { Ok(adjusted) }
    }
}

/// Why an adjustment is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AdjustmentError {
    /// Some of what would go is promised to orders, or not there at all.
    #[error("{} on hand, {} of them reserved: at most {} can be taken away", .0.on_hand(), .0.reserved(), .0.available())]
    BelowReserved(Stock),
    #[error("must leave at most {MAX_ON_HAND} on hand")]
    TooMuch,
}

/// What can be bought of a product now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Availability {
    pub(crate) product_id: Uuid,
    pub(crate) available: i64,
}

/// A correction of the stock on hand that staff asks for, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AdjustmentRequest {
    pub(crate) product_id: Uuid,
    pub(crate) delta: i64,
    pub(crate) reason: String,
    /// Makes a repeat harmless; scoped by product.
    pub(crate) key: String,
    /// The user id of who asks, or the name of what does.
    pub(crate) actor: String,
}

impl AdjustmentRequest {
    /// Checks every field and reports all that are wrong.
    pub(crate) fn parse(product_id: Uuid, delta: i64, reason: &str, key: &str, actor: String) -> Result<Self, Invalid> {
        let mut check = Check::default();
        if delta == 0 {
            check.refuse("/delta", "must not be 0");
        } else if delta.unsigned_abs() > MAX_ON_HAND.unsigned_abs() {
            check.refuse("/delta", format_args!("must be from -{MAX_ON_HAND} to {MAX_ON_HAND}"));
        }
        let reason = check.take("/reason", Text::<MAX_REASON>::parse(reason));
        if !(1..=MAX_KEY).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            check.refuse("Idempotency-Key", format_args!("must be 1 to {MAX_KEY} visible ASCII characters"));
        }
        let request =
            reason.map(|reason| Self { product_id, delta, reason: reason.into_string(), key: key.to_owned(), actor });
        check.finish_with(request)
    }

    /// The adjustment, once it is made.
    pub(crate) fn made(&self, id: Uuid, at: Instant, stock: Stock) -> Adjustment {
        Adjustment {
            id,
            product_id: self.product_id,
            delta: self.delta,
            reason: self.reason.clone(),
            actor: self.actor.clone(),
            at,
            stock,
        }
    }
}

/// An adjustment that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Adjustment {
    pub(crate) id: Uuid,
    pub(crate) product_id: Uuid,
    pub(crate) delta: i64,
    pub(crate) reason: String,
    pub(crate) actor: String,
    pub(crate) at: Instant,
    /// The stock right after it.
    pub(crate) stock: Stock,
}

impl Adjustment {
    /// Whether this is what `request` asks for. Who asks does not count: the key is the shop's, not a person's.
    pub(crate) fn answers(&self, request: &AdjustmentRequest) -> bool {
        self.delta == request.delta && self.reason == request.reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_is_never_adjusted_below_what_is_reserved() {
        let stock = Stock::stored(3, 2);
        assert_eq!(stock.adjusted(-3), Ok(Stock::stored(0, 2)));
        assert_eq!(stock.adjusted(-4), Err(AdjustmentError::BelowReserved(stock)));
        assert_eq!(
            AdjustmentError::BelowReserved(stock).to_string(),
            "5 on hand, 2 of them reserved: at most 3 can be taken away"
        );
    }

    #[test]
    fn stock_is_bounded() {
        let stock = Stock::stored(1, 1);
        assert_eq!(stock.adjusted(MAX_ON_HAND), Err(AdjustmentError::TooMuch));
        assert_eq!(stock.adjusted(i64::MAX), Err(AdjustmentError::TooMuch));
        assert_eq!(stock.adjusted(MAX_ON_HAND - 2).unwrap().on_hand(), MAX_ON_HAND);
    }

    #[test]
    fn an_adjustment_reports_every_wrong_field() {
        let parse = |delta, reason: &str, key: &str| {
            AdjustmentRequest::parse(Uuid::nil(), delta, reason, key, "x".to_owned()).map_err(|error| {
                error.into_violations().into_iter().map(|violation| violation.pointer).collect::<Vec<_>>()
            })
        };
        assert!(parse(-1, "Broken", &"k".repeat(255)).is_ok());
        assert_eq!(parse(0, " ", ""), Err(vec!["/delta".into(), "/reason".into(), "Idempotency-Key".into()]));
        assert_eq!(
            parse(i64::MIN, "a\nb", "a b"),
            Err(vec!["/delta".into(), "/reason".into(), "Idempotency-Key".into()])
        );
    }
}
