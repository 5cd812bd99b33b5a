//! What a payment or a refund means for an order. Pure: the caller stores it, and the database's clock has the last word
//! on whether a payment came in time.
//!
//! The invariant behind all of it, per order and currency: received − refunded = the total while the order is paid,
//! shipped or delivered, else 0; an open due is the difference.

use shop_types::Money;

use super::{Event, Order, Status, WrongState};

/// Minor units of one payment, and of an order's total: ten million millions of dollars. Thousands of the
/// largest together can still be counted in 64 bits.
pub(crate) const MAX_AMOUNT: i64 = 1_000_000_000_000_000;

/// What money that came in is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PaymentVerdict {
    /// It pays for the order, if the order has not expired.
    Pays,
    /// Late, surplus, of a wrong amount or currency, or a second one: it is owed back.
    OwedBack,
    /// Zero, for an order that costs something: no money at all.
    Nothing,
}

/// Judges money that came in.
pub(crate) fn judge_payment(order: &Order, amount: Money) -> PaymentVerdict {
    if order.total == Some(amount) && order.status == Status::Reserved {
        PaymentVerdict::Pays
    } else if amount.amount() == 0 {
        PaymentVerdict::Nothing
    } else {
        PaymentVerdict::OwedBack
    }
}

/// What money that went back settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefundVerdict {
    /// The price of the goods: the order is refunded.
    Total,
    /// The open due in the refund's currency.
    Due,
}

/// Why a refund is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RefundRefused {
    /// Refunds are whole.
    #[error("the refund is not what is to be given back")]
    AmountMismatch {
        /// What could be given back.
        expected: Money,
    },
    /// There is nothing to give back in this state.
    #[error("nothing is to be given back")]
    WrongState(WrongState),
}

/// Judges money that went back. When an order of which the same amount is due could be meant by its price or by the due,
/// the due goes first, unless the goods come back with it.
pub(crate) fn judge_refund(order: &Order, amount: Money, restock: bool) -> Result<RefundVerdict, RefundRefused> {
    let due = order.due_like(amount);
    let total = order.status.after(Event::Refund).map(|_| order.total);
    let settles_due = due == Some(amount);
    let settles_total = total == Ok(Some(amount));
    match (settles_due, settles_total) {
        (true, true) if restock => Ok(RefundVerdict::Total),
        (true, _) => Ok(RefundVerdict::Due),
        (false, true) => Ok(RefundVerdict::Total),
        (false, false) => Err(match (due.or(order.dues.first().copied()), total) {
            (Some(expected), _) | (None, Ok(Some(expected))) => RefundRefused::AmountMismatch { expected },
            (None, Ok(None)) => RefundRefused::WrongState(WrongState { from: order.status, event: Event::Refund }),
            (None, Err(refused)) => RefundRefused::WrongState(refused),
        }),
    }
}

#[cfg(test)]
mod tests {
    use shop_types::{Instant, Uuid};

    use super::*;
    use crate::domain::ShippingAddress;

    fn money(amount: i64, currency: &str) -> Money {
        Money::new(amount, currency.parse().unwrap())
    }

    fn order(status: Status, total: Option<Money>, dues: &[Money]) -> Order {
        let address = ShippingAddress {
            recipient: "Ada".into(),
            line1: "1".into(),
            line2: None,
            city: "Berlin".into(),
            region: None,
            postal_code: "1".into(),
            country: "DE".into(),
        };
        let at = Instant::from_micros(0);
        Order {
            id: Uuid::nil(),
            user_id: Uuid::nil(),
            status,
            items: Vec::new(),
            total,
            address,
            reason: None,
            expires_at: None,
            dues: dues.to_vec(),
            version: 1,
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn only_the_exact_total_of_a_reserved_order_pays() {
        for &status in Status::ALL {
            let judged = |amount| judge_payment(&order(status, Some(money(500, "USD")), &[]), amount);
            let exact = if status == Status::Reserved { PaymentVerdict::Pays } else { PaymentVerdict::OwedBack };
            assert_eq!(judged(money(500, "USD")), exact, "{status}");
            for wrong in [money(499, "USD"), money(501, "USD"), money(500, "EUR")] {
                assert_eq!(judged(wrong), PaymentVerdict::OwedBack, "{status} {wrong}");
            }
            assert_eq!(judged(money(0, "USD")), PaymentVerdict::Nothing, "{status}");
        }
    }

    #[test]
    fn a_free_order_is_paid_by_nothing() {
        let free = order(Status::Reserved, Some(money(0, "USD")), &[]);
        assert_eq!(judge_payment(&free, money(0, "USD")), PaymentVerdict::Pays);
        assert_eq!(judge_payment(&order(Status::Pending, None, &[]), money(0, "USD")), PaymentVerdict::Nothing);
    }

    #[test]
    fn a_refund_is_the_total_of_goods_that_left_or_the_open_due() {
        let (total, due) = (money(500, "USD"), money(30, "USD"));
        for &status in Status::ALL {
            let order = order(status, Some(total), &[due]);
            let left = matches!(status, Status::Shipped | Status::Delivered);
            assert_eq!(judge_refund(&order, due, false), Ok(RefundVerdict::Due), "{status}");
            let whole =
                if left { Ok(RefundVerdict::Total) } else { Err(RefundRefused::AmountMismatch { expected: due }) };
            assert_eq!(judge_refund(&order, total, false), whole, "{status}");
            let both = judge_refund(&order, money(530, "USD"), false);
            assert_eq!(both, Err(RefundRefused::AmountMismatch { expected: due }), "{status}");
        }
    }

    #[test]
    fn without_a_due_the_state_or_the_amount_is_what_is_wrong() {
        let total = money(500, "USD");
        let refund = |status, amount| judge_refund(&order(status, Some(total), &[]), amount, false);
        let mismatch = Err(RefundRefused::AmountMismatch { expected: total });
        assert_eq!(refund(Status::Delivered, money(499, "USD")), mismatch);
        assert_eq!(refund(Status::Shipped, money(500, "EUR")), mismatch);
        for status in [Status::Pending, Status::Reserved, Status::Paid, Status::Cancelled, Status::Refunded] {
            let refused = RefundRefused::WrongState(WrongState { from: status, event: Event::Refund });
            assert_eq!(refund(status, total), Err(refused), "{status}");
        }
    }

    #[test]
    fn a_due_like_the_total_goes_first_unless_the_goods_come_back() {
        let total = money(500, "USD");
        let twice_paid = order(Status::Shipped, Some(total), &[total]);
        assert_eq!(judge_refund(&twice_paid, total, false), Ok(RefundVerdict::Due));
        assert_eq!(judge_refund(&twice_paid, total, true), Ok(RefundVerdict::Total));
    }

    #[test]
    fn each_currency_has_a_due_of_its_own() {
        let dues = [money(500, "USD"), money(40, "EUR")];
        let cancelled = order(Status::Cancelled, Some(money(500, "USD")), &dues);
        for due in dues {
            assert_eq!(judge_refund(&cancelled, due, false), Ok(RefundVerdict::Due));
        }
        let wrong = judge_refund(&cancelled, money(41, "EUR"), false);
        assert_eq!(wrong, Err(RefundRefused::AmountMismatch { expected: dues[1] }));
    }
}
