//! What a request to place an order may say: keys, lines and a destination, checked all at once.

use shop_types::{PostalAddress, RawAddress, Text, TextError, Uuid};

use super::{Invalid, Line, ShippingAddress};

/// Lines of a request.
const MAX_LINES: usize = 100;
/// Pieces of one line.
const MAX_QUANTITY: i64 = 10_000;
/// Characters of an idempotency key.
const MAX_KEY: usize = 255;
/// Characters of a payment's or refund's reference.
const MAX_REFERENCE: usize = 200;
/// Characters of a canceller's note.
const MAX_NOTE: usize = 500;

/// What a client makes up to name an order before it exists: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(String);

impl IdempotencyKey {
    pub(crate) fn parse(raw: &str) -> Result<Self, &'static str> {
        if (1..=MAX_KEY).contains(&raw.len()) && raw.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(raw.to_owned()))
        } else {
            Err("must be 1 to 255 visible ASCII characters")
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The payer's or provider's name for a payment or refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference(Text<MAX_REFERENCE>);

impl Reference {
    pub(crate) fn parse(raw: &str) -> Result<Self, TextError> {
        Text::parse(raw).map(Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// The reference of a payment whose own is another payment's: it leads to the notice that told of it, and `payment_id`
/// makes it one that nobody can have used.
pub(crate) fn reference_of_notice(notice_id: &str, payment_id: Uuid) -> String {
    const PREFIX: &str = "notice:";
    const UUID_LENGTH: usize = 36;
    let room = MAX_REFERENCE - PREFIX.len() - 1 - UUID_LENGTH;
    let id: String = notice_id.chars().take(room).collect();
    format!("{PREFIX}{id}:{payment_id}")
}

/// Reads what a person wrote when cancelling; empty is none.
pub(crate) fn parse_note(raw: &str) -> Result<Option<String>, Invalid> {
    match Text::<MAX_NOTE>::parse_multiline(raw) {
        Ok(note) => Ok(Some(note.into_string())),
        Err(TextError::Empty) => Ok(None),
        Err(error) => Err(Invalid::field("/reason", error)),
    }
}

/// Reads an id. `pointer` names the field.
pub(crate) fn parse_id(pointer: &str, raw: &str) -> Result<Uuid, Invalid> {
    Uuid::try_parse(raw).map_err(|_| Invalid::field(pointer, "must be a UUID"))
}

/// Where an order is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    Address(ShippingAddress),
    /// One of the user's own addresses.
    Book(Uuid),
}

/// The destination before it is checked.
#[derive(Debug, Clone)]
pub(crate) enum RawDestination<'a> {
    Address(RawAddress<'a>),
    Book(&'a str),
}

/// A request that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewOrder {
    pub(crate) key: IdempotencyKey,
    /// As the request has them: violations point into this list.
    pub(crate) requested: Vec<Line>,
    pub(crate) destination: Destination,
}

impl NewOrder {
    /// Checks everything and reports all that is wrong.
    pub(crate) fn parse<'a>(
        key: &str,
        lines: impl ExactSizeIterator<Item = (&'a str, i64)>,
        destination: Option<RawDestination<'_>>,
    ) -> Result<Self, Invalid> {
        let mut invalid = Invalid::default();
        let key = invalid.take("Idempotency-Key", IdempotencyKey::parse(key));
        let requested = parse_lines(&mut invalid, lines);
        let destination = parse_destination(&mut invalid, destination);
        let order = match (key, destination) {
            (Some(key), Some(destination)) => Some(Self { key, requested, destination }),
            _ => None,
        };
        invalid.or(order)
    }

    /// The lines with each product once, in the order of its first mention.
    pub(crate) fn merged(&self) -> Vec<Line> {
        let mut merged: Vec<Line> = Vec::with_capacity(self.requested.len());
        for line in &self.requested {
            match merged.iter_mut().find(|present| present.product_id == line.product_id) {
                // At most MAX_LINES × MAX_QUANTITY.
                Some(present) => present.quantity += line.quantity,
                None => merged.push(*line),
            }
        }
        merged
    }

    /// The first line of the request that names a product.
    pub(crate) fn position_of(&self, product_id: Uuid) -> Option<usize> {
        self.requested.iter().position(|line| line.product_id == product_id)
    }
}

fn parse_lines<'a>(invalid: &mut Invalid, lines: impl ExactSizeIterator<Item = (&'a str, i64)>) -> Vec<Line> {
    if !(1..=MAX_LINES).contains(&lines.len()) {
        invalid.refuse("/items", format!("must have 1 to {MAX_LINES} entries"));
        return Vec::new();
    }
    let mut parsed = Vec::with_capacity(lines.len());
    for (index, (product_id, quantity)) in lines.enumerate() {
        let id = invalid
            .take(&format!("/items/{index}/product_id"), Uuid::try_parse(product_id).map_err(|_| "must be a UUID"));
        if !(1..=MAX_QUANTITY).contains(&quantity) {
            invalid.refuse(format!("/items/{index}/quantity"), format!("must be from 1 to {MAX_QUANTITY}"));
        }
        if let Some(product_id) = id {
            parsed.push(Line { product_id, quantity });
        }
    }
    parsed
}

fn parse_destination(invalid: &mut Invalid, raw: Option<RawDestination<'_>>) -> Option<Destination> {
    match raw {
        None => {
            invalid.refuse("/shipping_address", "is required, unless address_id is given");
            None
        }
        Some(RawDestination::Book(id)) => {
            invalid.take("/address_id", Uuid::try_parse(id).map_err(|_| "must be a UUID")).map(Destination::Book)
        }
        Some(RawDestination::Address(raw)) => match PostalAddress::parse(&raw) {
            Ok(address) => Some(Destination::Address(ShippingAddress::from(&address))),
            Err(errors) => {
                for error in errors {
                    invalid.refuse(format!("/shipping_address/{}", error.field), error.detail);
                }
                None
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_of_a_notice_is_one() {
        for (id, kept) in [("evt-1", "evt-1".to_owned()), (&*"é".repeat(MAX_REFERENCE), "é".repeat(156))] {
            let reference = reference_of_notice(id, Uuid::nil());
            assert_eq!(reference, format!("notice:{kept}:{}", Uuid::nil()));
            assert_eq!(Reference::parse(&reference).map(|read| read.as_str().to_owned()), Ok(reference));
        }
    }

    const A: &str = "0198c9a5-0000-7000-8000-00000000000a";
    const B: &str = "0198c9a5-0000-7000-8000-00000000000b";

    fn berlin() -> RawDestination<'static> {
        RawDestination::Address(RawAddress {
            recipient: "Ada",
            line1: "Unter den Linden 1",
            city: "Berlin",
            postal_code: "10117",
            country: "DE",
            ..RawAddress::default()
        })
    }

    fn parse(lines: &[(&str, i64)], destination: Option<RawDestination<'_>>) -> Result<NewOrder, Vec<String>> {
        NewOrder::parse("key-1", lines.iter().copied(), destination)
            .map_err(|invalid| invalid.violations().iter().map(|violation| violation.pointer.clone()).collect())
    }

    #[test]
    fn the_same_product_twice_is_merged_and_keeps_its_first_place() {
        let order = parse(&[(B, 1), (A, 2), (B, 3)], Some(berlin())).unwrap();
        let merged: Vec<_> = order.merged().iter().map(|line| (line.product_id.to_string(), line.quantity)).collect();
        assert_eq!(merged, [(B.to_owned(), 4), (A.to_owned(), 2)]);
        assert_eq!(order.position_of(Uuid::try_parse(A).unwrap()), Some(1));
    }

    #[test]
    fn every_violation_is_reported_at_once() {
        let address = RawDestination::Address(RawAddress { recipient: "Ada", ..RawAddress::default() });
        let lines = [("x", 1), (A, 0), (B, 10_001), (A, -1)];
        let invalid = NewOrder::parse("ä", lines.into_iter(), Some(address)).unwrap_err();
        let pointers: Vec<_> = invalid.violations().iter().map(|violation| violation.pointer.as_str()).collect();
        let expected = [
            "Idempotency-Key",
            "/items/0/product_id",
            "/items/1/quantity",
            "/items/2/quantity",
            "/items/3/quantity",
            "/shipping_address/line1",
            "/shipping_address/city",
            "/shipping_address/postal_code",
            "/shipping_address/country",
        ];
        assert_eq!(pointers, expected);
    }

    #[test]
    fn the_bounds_of_a_request() {
        assert!(parse(&[(A, 1)], Some(RawDestination::Book(B))).is_ok());
        assert!(parse(&vec![(A, 10_000); 100], Some(berlin())).is_ok());
        assert_eq!(parse(&[(A, 1); 101], Some(berlin())), Err(vec!["/items".to_owned()]));
        assert_eq!(parse(&[], Some(berlin())), Err(vec!["/items".to_owned()]));
        assert_eq!(parse(&[(A, 1)], None), Err(vec!["/shipping_address".to_owned()]));
        assert_eq!(parse(&[(A, 1)], Some(RawDestination::Book("home"))), Err(vec!["/address_id".to_owned()]));
    }

    #[test]
    fn keys_are_visible_ascii() {
        assert!(IdempotencyKey::parse(&"k".repeat(255)).is_ok());
        for wrong in ["", " ", "a b", "a\0", "é", &"k".repeat(256)] {
            assert!(IdempotencyKey::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn notes_may_be_missing_and_are_bounded() {
        assert_eq!(parse_note("  "), Ok(None));
        assert_eq!(parse_note(" too\nlate "), Ok(Some("too\nlate".to_owned())));
        assert!(parse_note(&"x".repeat(501)).is_err());
    }
}
