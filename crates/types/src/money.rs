//! Amounts of money in a currency's minor unit, with checked arithmetic. Never a float.

use std::fmt;

use crate::Currency;

/// An amount in minor units (cents for USD) of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    amount: i64,
    currency: Currency,
}

/// Why an operation on money has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The result is beyond 64 bits of minor units.
    #[error("the amount is too large")]
    Overflow,
    /// The operands are of different currencies, which have no common unit.
    #[error("the amounts are of different currencies")]
    CurrencyMismatch,
}

impl Money {
    /// `amount` in the minor unit of `currency`.
    pub const fn new(amount: i64, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// Nothing, in a currency.
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// Minor units.
    pub const fn amount(self) -> i64 {
        self.amount
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The sum, if both are of one currency and it fits.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let amount = self.amount.checked_add(other.amount).ok_or(MoneyError::Overflow)?;
        Ok(Self { amount, ..self })
    }

    /// The difference, if both are of one currency and it fits.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let amount = self.amount.checked_sub(other.amount).ok_or(MoneyError::Overflow)?;
        Ok(Self { amount, ..self })
    }

    /// `quantity` times the amount, if it fits.
    pub fn checked_mul(self, quantity: i64) -> Result<Self, MoneyError> {
        let amount = self.amount.checked_mul(quantity).ok_or(MoneyError::Overflow)?;
        Ok(Self { amount, ..self })
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency { Ok(()) } else { Err(MoneyError::CurrencyMismatch) }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (minor units)", self.amount, self.currency)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd(amount: i64) -> Money {
        Money::new(amount, "USD".parse().unwrap())
    }

    proptest! {
        #[test]
        fn arithmetic_agrees_with_wider_integers(a: i64, b: i64) {
            let fits = |wide: i128| i64::try_from(wide).map(usd).map_err(|_| MoneyError::Overflow);
            prop_assert_eq!(usd(a).checked_add(usd(b)), fits(i128::from(a) + i128::from(b)));
            prop_assert_eq!(usd(a).checked_sub(usd(b)), fits(i128::from(a) - i128::from(b)));
            prop_assert_eq!(usd(a).checked_mul(b), fits(i128::from(a) * i128::from(b)));
        }

        #[test]
        fn a_sum_taken_apart_again_is_what_it_was(a in -1_000_000_000_000i64..1_000_000_000_000, b in -1_000_000_000_000i64..1_000_000_000_000) {
            let sum = usd(a).checked_add(usd(b)).unwrap();
            prop_assert_eq!(sum.checked_sub(usd(b)).unwrap(), usd(a));
        }
    }

    #[test]
    fn currencies_do_not_mix() {
        let eur = Money::new(1, "EUR".parse().unwrap());
        assert_eq!(usd(1).checked_add(eur), Err(MoneyError::CurrencyMismatch));
        assert_eq!(usd(1).checked_sub(eur), Err(MoneyError::CurrencyMismatch));
    }
}
