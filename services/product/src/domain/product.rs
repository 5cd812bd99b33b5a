//! Products: how one is made and changed.

use shop_types::{Currency, Instant, Money, Text, Uuid};

use super::{
    Attributes, Check, Invalid, Slug, Words,
    terms::{ImageUrl, Price, Sku},
};

/// As much as fits a line of a listing.
const MAX_NAME: usize = 200;
/// A few pages of text.
const MAX_DESCRIPTION: usize = 10_000;

/// What is said of the `/category_id` that is no category's.
pub(crate) const UNKNOWN_CATEGORY: &str = "is no category";

type Name = Text<MAX_NAME>;
type Description = Text<MAX_DESCRIPTION>;

/// Whether a product is listed and sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ProductStatus {
    /// Listed and orderable.
    Active,
    /// Found by id and slug; neither listed to customers nor orderable.
    Archived,
}

/// A product as it is stored. Only [`NewProduct`] and [`ProductChange`] make or change one, so its texts are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Product {
    pub(crate) id: Uuid,
    pub(crate) sku: String,
    pub(crate) slug: String,
    pub(crate) name: String,
    /// Empty when there is none.
    pub(crate) description: String,
    pub(crate) category_id: Option<Uuid>,
    pub(crate) price: Money,
    pub(crate) attributes: Attributes,
    pub(crate) image_url: Option<String>,
    pub(crate) status: ProductStatus,
    /// Grows by one with each change.
    pub(crate) version: i64,
    pub(crate) created_at: Instant,
    pub(crate) updated_at: Instant,
}

impl Product {
    /// What listings by name compare: without regard to case, and the same on every database engine.
    pub(crate) fn sort_name(&self) -> String {
        self.name.to_lowercase()
    }

    /// What searches find it by.
    pub(crate) fn words(&self) -> Words {
        Words::of([self.name.as_str(), self.description.as_str(), self.sku.as_str()])
    }
}

/// The fields of a product before they are checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawProduct<'a> {
    pub(crate) sku: &'a str,
    pub(crate) slug: &'a str,
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
    /// Empty when there is none.
    pub(crate) category_id: &'a str,
    /// Amount and currency; absent is a violation.
    pub(crate) price: Option<(i64, &'a str)>,
    pub(crate) attributes: Vec<(&'a str, &'a str)>,
    /// Empty when there is none.
    pub(crate) image_url: &'a str,
}

/// A product that is about to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewProduct {
    sku: Sku,
    slug: Slug,
    name: Name,
    description: Option<Description>,
    category_id: Option<Uuid>,
    price: Price,
    attributes: Attributes,
    image_url: Option<ImageUrl>,
}

impl NewProduct {
    /// Checks every field and reports all that are wrong.
    pub(crate) fn parse(raw: &RawProduct<'_>, currency: Currency) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let sku = check.take("/sku", Sku::parse(raw.sku));
        let slug = check.take("/slug", Slug::parse(raw.slug));
        let name = check.take("/name", Name::parse(raw.name));
        let description = parse_description(&mut check, raw.description);
        let category_id = parse_category(&mut check, raw.category_id);
        let price = if let Some((amount, code)) = raw.price {
            Price::parse(&mut check, amount, code, currency)
        } else {
            check.refuse("/price", "is required");
            None
        };
        let attributes = Attributes::parse(&mut check, raw.attributes.iter().copied());
        let image_url = parse_image_url(&mut check, raw.image_url);
        let product = match (sku, slug, name, price) {
            (Some(sku), Some(slug), Some(name), Some(price)) => {
                Some(Self { sku, slug, name, description, category_id, price, attributes, image_url })
            }
            _ => None,
        };
        check.finish_with(product)
    }

    /// The product, once it has an id and a time.
    pub(crate) fn into_product(self, id: Uuid, now: Instant) -> Product {
        Product {
            id,
            sku: self.sku.into_string(),
            slug: self.slug.into_string(),
            name: self.name.into_string(),
            description: self.description.map(Text::into_string).unwrap_or_default(),
            category_id: self.category_id,
            price: self.price.money(),
            attributes: self.attributes,
            image_url: self.image_url.map(ImageUrl::into_string),
            status: ProductStatus::Active,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }
}

fn parse_description(check: &mut Check, raw: &str) -> Option<Description> {
    if raw.trim().is_empty() { None } else { check.take("/description", Description::parse_multiline(raw)) }
}

fn parse_category(check: &mut Check, raw: &str) -> Option<Uuid> {
    // What can't be an id is no category's.
    if raw.is_empty() { None } else { check.take("/category_id", Uuid::try_parse(raw).map_err(|_| UNKNOWN_CATEGORY)) }
}

fn parse_image_url(check: &mut Check, raw: &str) -> Option<ImageUrl> {
    if raw.is_empty() { None } else { check.take("/image_url", ImageUrl::parse(raw)) }
}

/// A change before it is checked. Absent keeps.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawChange<'a> {
    pub(crate) slug: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    /// Empty clears.
    pub(crate) description: Option<&'a str>,
    /// Empty clears.
    pub(crate) category_id: Option<&'a str>,
    pub(crate) price: Option<(i64, &'a str)>,
    /// Empty clears.
    pub(crate) image_url: Option<&'a str>,
    pub(crate) set_attributes: Vec<(&'a str, &'a str)>,
    pub(crate) dropped_attributes: Vec<&'a str>,
    pub(crate) clear_attributes: bool,
    pub(crate) status: Option<ProductStatus>,
}

/// What a change does to a field that may be empty.
#[derive(Debug, Clone, Default)]
pub(super) enum Patch<T> {
    #[default]
    Keep,
    Clear,
    Set(T),
}

impl<T> Patch<T> {
    /// From a field that is absent to keep, and whose parser gives nothing for an empty text.
    pub(super) fn parse<'a>(raw: Option<&'a str>, parse: impl FnOnce(&'a str) -> Option<T>) -> Self {
        match raw.map(parse) {
            None => Self::Keep,
            Some(None) => Self::Clear,
            Some(Some(value)) => Self::Set(value),
        }
    }
}

/// A change that was checked as far as it goes without the product.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProductChange {
    slug: Option<Slug>,
    name: Option<Name>,
    description: Patch<Description>,
    category_id: Patch<Uuid>,
    price: Option<Price>,
    image_url: Patch<ImageUrl>,
    set_attributes: Attributes,
    dropped_attributes: Vec<String>,
    clear_attributes: bool,
    status: Option<ProductStatus>,
}

impl ProductChange {
    /// Checks every field and reports all that are wrong.
    pub(crate) fn parse(raw: &RawChange<'_>, currency: Currency) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let change = Self {
            slug: raw.slug.and_then(|slug| check.take("/slug", Slug::parse(slug))),
            name: raw.name.and_then(|name| check.take("/name", Name::parse(name))),
            description: Patch::parse(raw.description, |text| parse_description(&mut check, text)),
            category_id: Patch::parse(raw.category_id, |id| parse_category(&mut check, id)),
            price: raw.price.and_then(|(amount, code)| Price::parse(&mut check, amount, code, currency)),
            image_url: Patch::parse(raw.image_url, |url| parse_image_url(&mut check, url)),
            set_attributes: Attributes::parse(&mut check, raw.set_attributes.iter().copied()),
            dropped_attributes: raw
                .dropped_attributes
                .iter()
                .filter_map(|name| Attributes::normal_name(name))
                .collect(),
            clear_attributes: raw.clear_attributes,
            status: raw.status,
        };
        check.finish().map(|()| change)
    }

    /// The change that archives.
    pub(crate) fn archive() -> Self {
        Self { status: Some(ProductStatus::Archived), ..Self::default() }
    }

    /// The product after the change: the next version, or `product` itself when nothing differs.
    pub(crate) fn apply(self, product: &Product, now: Instant) -> Result<Product, Invalid> {
        let mut next = product.clone();
        if let Some(slug) = self.slug {
            next.slug = slug.into_string();
        }
        if let Some(name) = self.name {
            next.name = name.into_string();
        }
        match self.description {
            Patch::Keep => {}
            Patch::Clear => next.description.clear(),
            Patch::Set(description) => next.description = description.into_string(),
        }
        match self.category_id {
            Patch::Keep => {}
            Patch::Clear => next.category_id = None,
            Patch::Set(category_id) => next.category_id = Some(category_id),
        }
        if let Some(price) = self.price {
            next.price = price.money();
        }
        match self.image_url {
            Patch::Keep => {}
            Patch::Clear => next.image_url = None,
            Patch::Set(image_url) => next.image_url = Some(image_url.into_string()),
        }
        if let Some(status) = self.status {
            next.status = status;
        }
        if self.clear_attributes {
            next.attributes.clear();
        }
        for name in &self.dropped_attributes {
            next.attributes.drop_name(name);
        }
        next.attributes.merge(self.set_attributes);
        if next.attributes.len() > Attributes::MAX {
            let detail = format!("must have at most {} entries after the change", Attributes::MAX);
            return Err(Invalid::field("/attributes", detail));
        }
        if next != *product {
            next.version += 1;
            next.updated_at = now;
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd() -> Currency {
        "USD".parse().unwrap()
    }

    fn raw() -> RawProduct<'static> {
        RawProduct {
            sku: "TEA-1",
            slug: "tea",
            name: " Green  tea ",
            price: Some((499, "USD")),
            attributes: vec![("origin", "Japan"), ("grams", "100")],
            ..RawProduct::default()
        }
    }

    fn tea() -> Product {
        NewProduct::parse(&raw(), usd()).unwrap().into_product(Uuid::nil(), Instant::from_micros(1))
    }

    #[test]
    fn every_wrong_field_is_reported_at_once() {
        let wrong = RawProduct {
            sku: "",
            slug: "Tea",
            name: "\0",
            description: "a\0",
            category_id: "tea",
            price: Some((-1, "EUR")),
            attributes: vec![("a", "")],
            image_url: "file:///etc/passwd",
        };
        let violations = NewProduct::parse(&wrong, usd()).unwrap_err().into_violations();
        let pointers: Vec<_> = violations.iter().map(|violation| violation.pointer.as_str()).collect();
        let expected = [
            "/sku",
            "/slug",
            "/name",
            "/description",
            "/category_id",
            "/price/currency",
            "/price/amount",
            "/attributes/a",
            "/image_url",
        ];
        assert_eq!(pointers, expected);
        let missing = RawProduct { price: None, ..raw() };
        assert_eq!(NewProduct::parse(&missing, usd()).unwrap_err().to_string(), "/price: is required");
    }

    #[test]
    fn a_change_makes_the_next_version() {
        let change = RawChange {
            description: Some("Fine."),
            set_attributes: vec![("grams", "200")],
            dropped_attributes: vec![" origin", "unknown"],
            status: Some(ProductStatus::Archived),
            ..RawChange::default()
        };
        let next = ProductChange::parse(&change, usd()).unwrap().apply(&tea(), Instant::from_micros(9)).unwrap();
        assert_eq!(
            (next.version, next.updated_at, next.created_at),
            (2, Instant::from_micros(9), Instant::from_micros(1))
        );
        assert_eq!((next.description.as_str(), next.status), ("Fine.", ProductStatus::Archived));
        assert_eq!(
            next.attributes.into_map().into_iter().collect::<Vec<_>>(),
            [("grams".to_owned(), "200".to_owned())]
        );
    }

    #[test]
    fn a_change_of_nothing_is_no_new_version() {
        let change = RawChange { name: Some("Green  tea"), image_url: Some(""), ..RawChange::default() };
        let next = ProductChange::parse(&change, usd()).unwrap().apply(&tea(), Instant::from_micros(9)).unwrap();
        assert_eq!(next, tea());
    }

    #[test]
    fn attributes_stay_bounded_over_changes() {
        let names: Vec<_> = (0..49).map(|n| format!("n{n}")).collect();
        let change = RawChange {
            set_attributes: names.iter().map(|name| (name.as_str(), "x")).collect(),
            ..RawChange::default()
        };
        let change = ProductChange::parse(&change, usd()).unwrap();
        let error = change.apply(&tea(), Instant::from_micros(9)).unwrap_err();
        assert_eq!(error.into_violations()[0].pointer, "/attributes");
    }
}
