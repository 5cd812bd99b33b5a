//! Addresses that users keep.

use shop_types::{AddressError, PostalAddress, RawAddress, Text, TextError, Uuid};

use super::{Check, Invalid};

/// Addresses of one user at most: nobody has so many places, and a list needs a bound.
pub(crate) const MAX_ADDRESSES: u64 = 100;

/// A name for an address, "home" for example.
pub(crate) type Label = Text<100>;

/// A kept address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) id: Uuid,
    pub(crate) label: Option<Label>,
    pub(crate) postal: PostalAddress,
}

/// A field of an address as it is in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressPart {
    Label,
    Recipient,
    Line1,
    Line2,
    City,
    Region,
    PostalCode,
    Country,
}

/// The fields to be changed, each with its new text; an empty one clears what may be empty.
#[derive(Debug, Clone, Default)]
pub(crate) struct AddressChange(pub(crate) Vec<(AddressPart, String)>);

impl Address {
    /// Checks a new address, or one after a change.
    pub(crate) fn parse(id: Uuid, label: &str, raw: &RawAddress<'_>) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let label = match Label::parse(label) {
            Ok(label) => Some(label),
            Err(TextError::Empty) => None,
            Err(error) => {
                check.refuse("/label", error);
                None
            }
        };
        let postal = PostalAddress::parse(raw);
        let postal = postal.map_err(|errors| {
            for AddressError { field, detail } in errors {
                check.refuse(format!("/{field}"), detail);
            }
        });
        check.finish_with(postal.ok().map(|postal| Self { id, label, postal }))
    }

    /// The address with some fields changed.
    pub(crate) fn changed(&self, change: &AddressChange) -> Result<Self, Invalid> {
        let mut label = self.label.as_ref().map_or("", Label::as_str);
        let mut raw = RawAddress {
            recipient: self.postal.recipient(),
            line1: self.postal.line1(),
            line2: self.postal.line2().unwrap_or_default(),
            city: self.postal.city(),
            region: self.postal.region().unwrap_or_default(),
            postal_code: self.postal.postal_code(),
            country: self.postal.country(),
        };
        for (part, text) in &change.0 {
            let field = match part {
                AddressPart::Label => &mut label,
                AddressPart::Recipient => &mut raw.recipient,
                AddressPart::Line1 => &mut raw.line1,
                AddressPart::Line2 => &mut raw.line2,
                AddressPart::City => &mut raw.city,
                AddressPart::Region => &mut raw.region,
                AddressPart::PostalCode => &mut raw.postal_code,
                AddressPart::Country => &mut raw.country,
            };
            *field = text;
        }
        Self::parse(self.id, label, &raw)
    }
}
