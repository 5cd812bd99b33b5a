//! Listings of products: their order, their filters and where a page ends.

use serde::{Deserialize, Serialize};
use shop_types::Uuid;

use super::{Check, Invalid, Product, ProductStatus, Words};

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

/// Which products a listing is to have, before it is checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawFilter<'a> {
    pub(crate) status: ProductStatus,
    /// In minor units, inclusive.
    pub(crate) min_price: Option<i64>,
    pub(crate) max_price: Option<i64>,
    pub(crate) in_stock: Option<bool>,
    /// Words that must all be found.
    pub(crate) query: &'a str,
    /// The id or slug of a category; empty for any.
    pub(crate) category: &'a str,
}

/// Which products a listing has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    status: ProductStatus,
    min_price: Option<i64>,
    max_price: Option<i64>,
    in_stock: Option<bool>,
    words: Words,
    category: Option<String>,
}

impl Filter {
    /// Checks everything and reports all that is wrong. A category that is not there is not: it has no products.
    pub(crate) fn parse(raw: &RawFilter<'_>) -> Result<Self, Invalid> {
        let RawFilter { status, min_price, max_price, in_stock, query, category } = *raw;
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
        let words = check.take("q", Words::of_query(query));
        let category = (!category.is_empty()).then(|| category.to_owned());
        let filter = words.map(|words| Self { status, min_price, max_price, in_stock, words, category });
        check.finish_with(filter)
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

    /// Words that are all in each product.
    pub(crate) fn words(&self) -> &Words {
        &self.words
    }

    /// The id or slug of the category that all products are in or below.
    pub(crate) fn category(&self) -> Option<&str> {
        self.category.as_deref()
    }

    /// What a cursor of this listing is bound to.
    pub(crate) fn scope(&self, sort: Sort) -> String {
        let Self { status, min_price, max_price, in_stock, words, category } = self;
        let words = words.text();
        format!(
            "products sort={sort:?} status={status:?} price={min_price:?}..{max_price:?} in_stock={in_stock:?} \
             words={words:?} category={category:?}"
        )
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

    const ANY: RawFilter<'_> = RawFilter {
        status: ProductStatus::Active,
        min_price: None,
        max_price: None,
        in_stock: None,
        query: "",
        category: "",
    };

    #[test]
    fn bounds_are_checked() {
        let parse =
            |min_price, max_price| Filter::parse(&RawFilter { min_price, max_price, ..ANY }).map_err(|e| e.to_string());
        assert!(parse(Some(5), Some(5)).is_ok());
        assert_eq!(parse(Some(6), Some(5)), Err("min_price: must not be more than max_price".to_owned()));
        assert_eq!(parse(Some(-1), Some(-2)).unwrap_err().matches("must").count(), 3);
        let long = Filter::parse(&RawFilter { query: &"x".repeat(101), ..ANY });
        assert_eq!(long.unwrap_err().into_violations()[0].pointer, "q");
    }

    #[test]
    fn listings_differ_in_scope() {
        let listings = [
            (ANY, Sort::Newest),
            (ANY, Sort::Name),
            (RawFilter { max_price: Some(5), ..ANY }, Sort::Newest),
            (RawFilter { min_price: Some(5), ..ANY }, Sort::Newest),
            (RawFilter { in_stock: Some(true), ..ANY }, Sort::Newest),
            (RawFilter { status: ProductStatus::Archived, ..ANY }, Sort::Newest),
            (RawFilter { query: "tea", ..ANY }, Sort::Newest),
            (RawFilter { query: "tea category", ..ANY }, Sort::Newest),
            (RawFilter { category: "tea", ..ANY }, Sort::Newest),
        ];
        let scopes = listings.map(|(raw, sort)| Filter::parse(&raw).unwrap().scope(sort));
        for (index, scope) in scopes.iter().enumerate() {
            assert!(!scopes[..index].contains(scope));
        }
        // The order and case of words are nothing.
        let words = |query| Filter::parse(&RawFilter { query, ..ANY }).unwrap().scope(Sort::Newest);
        assert_eq!(words("green tea"), words(" Tea GREEN"));
    }
}
