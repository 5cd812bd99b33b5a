//! Listings of products: their order, their filters and where a page ends.

use serde::{Deserialize, Serialize};
use shop_types::Uuid;

use super::{Check, Invalid, Product, ProductStatus};

/// The order of a listing. Ties are broken by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Newest first.
    Newest,
    /// Cheapest first.
    PriceAscending,
    /// Dearest first.
    PriceDescending,
    /// By name, without regard to case.
    Name,
}

/// Which products a listing has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Filter {
    status: ProductStatus,
    min_price: Option<i64>,
    max_price: Option<i64>,
    in_stock: Option<bool>,
}

impl Filter {
    /// Checks the bounds against each other. Prices are in minor units, inclusive.
    pub(crate) fn parse(
        status: ProductStatus,
        min_price: Option<i64>,
        max_price: Option<i64>,
        in_stock: Option<bool>,
    ) -> Result<Self, Invalid> {
        let mut check = Check::default();
        for (name, bound) in [("min_price", min_price), ("max_price", max_price)] {
            if bound.is_some_and(|amount| amount < 0) {
                check.refuse(name, "must be 0 or more");
            }
        }
        if let (Some(min), Some(max)) = (min_price, max_price)
            && min > max
        {
            check.refuse("min_price", "must not be more than max_price");
        }
        check.finish().map(|()| Self { status, min_price, max_price, in_stock })
    }

    pub(crate) fn status(&self) -> ProductStatus {
        self.status
    }

    pub(crate) fn min_price(&self) -> Option<i64> {
        self.min_price
    }

    pub(crate) fn max_price(&self) -> Option<i64> {
        self.max_price
    }

    pub(crate) fn in_stock(&self) -> Option<bool> {
        self.in_stock
    }

    /// What a cursor of this listing is bound to.
    pub(crate) fn scope(&self, sort: Sort) -> String {
        let Self { status, min_price, max_price, in_stock } = self;
        format!("products sort={sort:?} status={status:?} price={min_price:?}..{max_price:?} in_stock={in_stock:?}")
    }
}

/// The last product of a page; the next page begins after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// What the listing is sorted by.
    pub(crate) key: SortKey,
    pub(crate) id: Uuid,
}

/// The value a listing is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum SortKey {
    /// A time in microseconds, or a price in minor units.
    Number(i64),
    Text(String),
}

impl Position {
    /// Where `product` stands.
    pub(crate) fn of(product: &Product, sort: Sort) -> Self {
        let key = match sort {
            Sort::Newest => SortKey::Number(product.created_at.as_micros()),
            Sort::PriceAscending | Sort::PriceDescending => SortKey::Number(product.price.amount()),
            Sort::Name => SortKey::Text(product.sort_name()),
        };
        Self { key, id: product.id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_checked() {
        let parse = |min, max| Filter::parse(ProductStatus::Active, min, max, None).map_err(|e| e.to_string());
        assert!(parse(Some(5), Some(5)).is_ok());
        assert_eq!(parse(Some(6), Some(5)), Err("min_price: must not be more than max_price".to_owned()));
        assert_eq!(parse(Some(-1), Some(-2)).unwrap_err().matches("must").count(), 3);
    }

    #[test]
    fn listings_differ_in_scope() {
        let filter = |max, stock| Filter::parse(ProductStatus::Active, None, max, stock).unwrap();
        let scopes = [
            filter(None, None).scope(Sort::Newest),
            filter(None, None).scope(Sort::Name),
            filter(Some(5), None).scope(Sort::Newest),
            filter(None, Some(true)).scope(Sort::Newest),
            Filter::parse(ProductStatus::Archived, None, None, None).unwrap().scope(Sort::Newest),
        ];
        for (index, scope) in scopes.iter().enumerate() {
            assert!(!scopes[..index].contains(scope));
        }
    }
}
