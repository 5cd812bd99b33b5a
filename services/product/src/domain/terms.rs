//! The words of the catalogue: SKU, slug, price, attributes, image URL. Each is valid by construction.

use std::collections::BTreeMap;

use shop_types::{Currency, Money, Text, Uuid};

use super::Check;

/// Stock-keeping unit: what the shop's people call the article. Unique for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sku(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {} ASCII letters, digits, dots, hyphens, underscores or slashes", Sku::MAX)]
pub(crate) struct InvalidSku;

impl Sku {
    /// As long as barcodes and warehouse systems go, and then some.
    pub(crate) const MAX: usize = 64;

    pub(crate) fn parse(raw: &str) -> Result<Self, InvalidSku> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/".contains(&byte);
        if (1..=Self::MAX).contains(&raw.len()) && raw.bytes().all(allowed) {
            Ok(Self(raw.to_owned()))
        } else {
            Err(InvalidSku)
        }
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// The name of a product or category in a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slug(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidSlug {
    #[error("must be 1 to {} of a-z, 0-9 and hyphens", Slug::MAX)]
    Syntax,
    /// What has one is found by id or slug in the same place of a URL.
    #[error("must not look like a UUID")]
    LooksLikeId,
}

impl Slug {
    /// Leaves room for the rest of a readable URL.
    pub(crate) const MAX: usize = 100;

    pub(crate) fn parse(raw: &str) -> Result<Self, InvalidSlug> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=Self::MAX).contains(&raw.len()) || !raw.bytes().all(allowed) {
            return Err(InvalidSlug::Syntax);
        }
        if Uuid::try_parse(raw).is_ok() {
            return Err(InvalidSlug::LooksLikeId);
        }
        Ok(Self(raw.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// How a product or category is found: the two never look alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Id(Uuid),
    Slug(Slug),
}

impl Key {
    /// None for what can be neither and is therefore nobody's.
    pub(crate) fn parse(raw: &str) -> Option<Self> {
        Self::parse_id(raw).or_else(|| Self::parse_slug(raw))
    }

    pub(crate) fn parse_id(raw: &str) -> Option<Self> {
        Uuid::try_parse(raw).ok().map(Self::Id)
    }

    pub(crate) fn parse_slug(raw: &str) -> Option<Self> {
        Slug::parse(raw).ok().map(Self::Slug)
    }
}

/// What one piece costs: nothing or more, in the shop's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Price(Money);

impl Price {
    /// Notes each part that is wrong under `/price`.
    pub(crate) fn parse(check: &mut Check, amount: i64, currency: &str, shop: Currency) -> Option<Self> {
        let fits = currency == shop.as_str();
        if !fits {
            check.refuse("/price/currency", format_args!("must be {shop}, the shop's currency"));
        }
        if amount < 0 {
            check.refuse("/price/amount", "must be 0 or more");
        }
        (fits && amount >= 0).then(|| Self(Money::new(amount, shop)))
    }

    pub(crate) fn money(self) -> Money {
        self.0
    }
}

/// Facts about a product, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// A product's page shows all of them.
    pub(crate) const MAX: usize = 50;
    const MAX_NAME: usize = 50;
    const MAX_VALUE: usize = 200;

    /// Checks every pair and notes each that is wrong under `/attributes`.
    pub(crate) fn parse<'a>(check: &mut Check, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut parsed = BTreeMap::new();
        for (count, (raw_name, raw_value)) in pairs.into_iter().enumerate() {
            if count == Self::MAX {
                check.refuse("/attributes", format_args!("must have at most {} entries", Self::MAX));
                break;
            }
            let pointer = format!("/attributes/{}", pointer_token(raw_name));
            let name = Text::<{ Self::MAX_NAME }>::parse(raw_name)
                .map_err(|error| check.refuse(&pointer, format_args!("the name {error}")));
            let value = check.take(&pointer, Text::<{ Self::MAX_VALUE }>::parse(raw_value));
            let (Ok(name), Some(value)) = (name, value) else { continue };
            if parsed.insert(name.into_string(), value.into_string()).is_some() {
                check.refuse(&pointer, "is named twice, but for white space or Unicode form");
            }
        }
        Self(parsed)
    }

    /// What was stored, which was checked before.
    pub(crate) fn stored(pairs: BTreeMap<String, String>) -> Self {
        Self(pairs)
    }

    /// The name as it would have been stored, for finding it again.
    pub(crate) fn normal_name(raw: &str) -> Option<String> {
        Text::<{ Self::MAX_NAME }>::parse(raw).ok().map(Text::into_string)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn drop_name(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub(crate) fn merge(&mut self, set: Self) {
        self.0.extend(set.0);
    }

    pub(crate) fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }
}

/// A name as one token of an RFC 6901 pointer.
fn pointer_token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Where a picture of the product is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageUrl(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an http or https URL of at most {} characters", ImageUrl::MAX)]
pub(crate) struct InvalidImageUrl;

impl ImageUrl {
    /// What browsers and proxies agree on.
    pub(crate) const MAX: usize = 2048;

    /// Checks scheme, host and alphabet (RFC 3986). Whether something is there is not our matter: it is never fetched.
    pub(crate) fn parse(raw: &str) -> Result<Self, InvalidImageUrl> {
        let rest = raw.strip_prefix("https://").or_else(|| raw.strip_prefix("http://")).ok_or(InvalidImageUrl)?;
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
        if raw.len() > Self::MAX || host.is_empty() || host.contains('@') || !raw.bytes().all(allowed) {
            return Err(InvalidImageUrl);
        }
        Ok(Self(raw.to_owned()))
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skus_are_plain_ascii() {
        for right in ["TEA-001", "a", "0/1_2.3"] {
            assert!(Sku::parse(right).is_ok(), "{right}");
        }
        for wrong in ["", "TEA 1", "Ä", "a\0", &"x".repeat(65)] {
            assert_eq!(Sku::parse(wrong), Err(InvalidSku), "{wrong}");
        }
    }

    #[test]
    fn slugs_never_look_like_ids() {
        assert!(Slug::parse("green-tea-100g").is_ok());
        assert!(Slug::parse(&"x".repeat(100)).is_ok());
        for wrong in ["", "Tea", "tea_1", "tee/1", "tée", &"x".repeat(101)] {
            assert_eq!(Slug::parse(wrong), Err(InvalidSlug::Syntax), "{wrong}");
        }
        for id in ["0198c9a5-0000-7000-8000-000000000000", "0198c9a5000070008000000000000000"] {
            assert_eq!(Slug::parse(id), Err(InvalidSlug::LooksLikeId), "{id}");
        }
    }

    #[test]
    fn image_urls_are_http_with_a_host() {
        for right in ["https://img.example/a.png?w=1#x", "http://localhost:8000/a"] {
            assert!(ImageUrl::parse(right).is_ok(), "{right}");
        }
        let long = format!("https://img.example/{}", "x".repeat(2048));
        for wrong in
            ["javascript:alert(1)", "https://", "https:///a", "https://u:p@h/", "https://h/ä", "ftp://h/a", &long]
        {
            assert_eq!(ImageUrl::parse(wrong), Err(InvalidImageUrl), "{wrong}");
        }
    }

    #[test]
    fn attributes_are_bounded_and_named_once() {
        let mut check = Check::default();
        let names: Vec<_> = (0..51).map(|n| n.to_string()).collect();
        Attributes::parse(&mut check, names.iter().map(|name| (name.as_str(), "x")));
        Attributes::parse(&mut check, [("a/b~", ""), ("", "x"), ("c", "1"), (" c", "2")]);
        let pointers: Vec<_> = check.finish().unwrap_err().into_violations().into_iter().map(|v| v.pointer).collect();
        assert_eq!(pointers, ["/attributes", "/attributes/a~1b~0", "/attributes/", "/attributes/ c"]);
    }
}
