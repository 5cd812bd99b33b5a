//! What visitors do, and how often each of it.

use std::{fmt, str::FromStr};

use fastrand::Rng;
use serde::Serialize;

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// The first page of the catalogue, sorted one way or another.
    List,
    /// A further page, by the link of one before.
    Page,
    /// A product by its id, with `If-None-Match` once it was read.
    Product,
    /// What is left of a product.
    Availability,
    /// A search by a word of some product's name.
    Search,
    /// The first page of a category, a range of prices, what is in stock, or some of these together.
    Filter,
    /// A customer signs in.
    SignIn,
    /// A customer orders, under an idempotency key of its own.
    Order,
    /// Staff records the payment of an order placed before.
    Pay,
    /// A customer cancels an order placed before.
    Cancel,
    /// A customer looks at their orders.
    Orders,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::List,
        Self::Page,
        Self::Product,
        Self::Availability,
        Self::Search,
        Self::Filter,
        Self::SignIn,
        Self::Order,
        Self::Pay,
        Self::Cancel,
        Self::Orders,
    ];

    /// As it is written in options and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Page => "page",
            Self::Product => "product",
            Self::Availability => "availability",
            Self::Search => "search",
            Self::Filter => "filter",
            Self::SignIn => "sign-in",
            Self::Order => "order",
            Self::Pay => "pay",
            Self::Cancel => "cancel",
            Self::Orders => "orders",
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Operation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|operation| operation.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("{text:?} is no operation: expected one of {names}")
        })
    }
}

/// Weights of operations. Written `list=20,product=40,order=5`; what is not named has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    weights: [u32; Operation::ALL.len()],
}

impl Mix {
    /// Only these.
    pub fn of(weights: impl IntoIterator<Item = (Operation, u32)>) -> Self {
        let mut mix = Self { weights: [0; Operation::ALL.len()] };
        for (operation, weight) in weights {
            mix.weights[operation.index()] = weight;
        }
        mix
    }

    /// Visitors who look and don't buy: reads alone, each of which may be repeated without effect.
    pub fn browsing() -> Self {
        Self::of([
            (Operation::List, 20),
            (Operation::Page, 10),
            (Operation::Product, 45),
            (Operation::Availability, 10),
            (Operation::Search, 8),
            (Operation::Filter, 7),
        ])
    }

    /// The same without an operation.
    #[must_use]
    pub fn without(mut self, operation: Operation) -> Self {
        self.weights[operation.index()] = 0;
        self
    }

    /// The share of an operation, 0 to 1.
    pub fn share(&self, operation: Operation) -> f64 {
        let total = self.total();
        if total == 0 { 0.0 } else { f64::from(self.weights[operation.index()]) / f64::from(total) }
    }

    pub(crate) fn has(&self, operation: Operation) -> bool {
        self.weights[operation.index()] > 0
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if self.total() == 0 { Err("the mix has no operation in it".to_owned()) } else { Ok(()) }
    }

    /// One of them, by weight.
    pub(crate) fn pick(&self, rng: &mut Rng) -> Operation {
        let mut left = rng.u32(0..self.total().max(1));
        for operation in Operation::ALL {
            let weight = self.weights[operation.index()];
            if left < weight {
                return operation;
            }
            left -= weight;
        }
        Operation::List
    }

    fn total(&self) -> u32 {
        self.weights.iter().fold(0, |total, weight| total.saturating_add(*weight))
    }
}

/// A day in a shop: many look, some search, few sign in, order and pay, fewer cancel.
impl Default for Mix {
    fn default() -> Self {
        Self::of([
            (Operation::List, 18),
            (Operation::Page, 8),
            (Operation::Product, 40),
            (Operation::Availability, 8),
            (Operation::Search, 7),
            (Operation::Filter, 5),
            (Operation::SignIn, 1),
            (Operation::Order, 5),
            (Operation::Pay, 3),
            (Operation::Cancel, 1),
            (Operation::Orders, 4),
        ])
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Operation::ALL.into_iter().filter(|operation| self.has(*operation));
        for (index, operation) in named.enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{operation}={}", self.weights[operation.index()])?;
        }
        Ok(())
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut mix = Self::of([]);
        for part in text.split(',') {
            let (name, weight) = part.split_once('=').ok_or_else(|| format!("{part:?}: expected product=40"))?;
            let operation: Operation = name.parse()?;
            mix.weights[operation.index()] = weight.parse().map_err(|_| format!("{weight:?} is no weight"))?;
        }
        mix.check()?;
        Ok(mix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_follow_the_weights() {
        let mix: Mix = "product=75,order=25".parse().unwrap();
        let mut rng = Rng::with_seed(7);
        let mut orders = 0;
        for _ in 0..10_000 {
            match mix.pick(&mut rng) {
                Operation::Order => orders += 1,
                other => assert_eq!(other, Operation::Product),
            }
        }
        assert!((2_300..2_700).contains(&orders), "{orders}");
        assert!((mix.share(Operation::Product) - 0.75).abs() < 1e-9);
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_its_place() {
        for (index, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation.index(), index);
            assert_eq!(operation.name().parse(), Ok(operation));
        }
        assert_eq!(Mix::default().to_string().parse(), Ok(Mix::default()));
    }

    #[test]
    fn what_is_no_mix_says_so() {
        for text in ["", "product", "product=", "product=x", "buy=1", "product=0"] {
            assert!(text.parse::<Mix>().is_err(), "{text:?}");
        }
    }
}
