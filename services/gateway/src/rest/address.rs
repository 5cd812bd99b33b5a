//! Postal addresses: the ones a user keeps, and the snapshot in an order.

use serde::{Deserialize, Serialize};
use shop_proto::{types, user};
use utoipa::ToSchema;

use super::{BadReply, Id, Page, Patch, none_if_empty};
use crate::problem::Problem;

/// Where a parcel goes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PostalAddress {
    /// Who receives.
    #[schema(min_length = 1, max_length = 200)]
    pub recipient: String,
    /// Street and number.
    #[schema(min_length = 1, max_length = 200)]
    pub line1: String,
    /// Flat, floor, care of.
    #[schema(max_length = 200)]
    pub line2: Option<String>,
    /// City or town.
    #[schema(min_length = 1, max_length = 100)]
    pub city: String,
    /// State, province or county.
    #[schema(max_length = 100)]
    pub region: Option<String>,
    /// Post or ZIP code.
    #[schema(min_length = 1, max_length = 20)]
    pub postal_code: String,
    /// ISO 3166-1 alpha-2 code.
    #[schema(pattern = "^[A-Z]{2}$")]
    pub country: String,
}

impl From<types::PostalAddress> for PostalAddress {
    fn from(wire: types::PostalAddress) -> Self {
        Self {
            recipient: wire.recipient,
            line1: wire.line1,
            line2: none_if_empty(wire.line2),
            city: wire.city,
            region: none_if_empty(wire.region),
            postal_code: wire.postal_code,
            country: wire.country,
        }
    }
}

impl From<PostalAddress> for types::PostalAddress {
    fn from(address: PostalAddress) -> Self {
        Self {
            recipient: address.recipient,
            line1: address.line1,
            line2: address.line2.unwrap_or_default(),
            city: address.city,
            region: address.region.unwrap_or_default(),
            postal_code: address.postal_code,
            country: address.country,
        }
    }
}

/// An address a user keeps.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": "0198c9a5-7d3e-7c4e-9d0a-3f1f5f0a1b2c", "label": "home", "recipient": "Ada Lovelace",
    "line1": "Unter den Linden 1", "line2": null, "city": "Berlin", "region": null, "postal_code": "10117", "country": "DE"
})))]
pub(crate) struct Address {
    /// Its id.
    pub id: Id,
    /// A name the user gave it.
    #[schema(required)]
    pub label: Option<String>,
    /// Who receives.
    pub recipient: String,
    /// Street and number.
    pub line1: String,
    /// Flat, floor, care of.
    #[schema(required)]
    pub line2: Option<String>,
    /// City or town.
    pub city: String,
    /// State, province or county.
    #[schema(required)]
    pub region: Option<String>,
    /// Post or ZIP code.
    pub postal_code: String,
    /// ISO 3166-1 alpha-2 code.
    #[schema(pattern = "^[A-Z]{2}$")]
    pub country: String,
}

/// A page of them.
pub(crate) type AddressPage = Page<Address>;

impl TryFrom<user::Address> for Address {
    type Error = BadReply;

    fn try_from(wire: user::Address) -> Result<Self, BadReply> {
        let address = PostalAddress::from(wire.address.ok_or(BadReply("address"))?);
        Ok(Self {
            id: wire.id.try_into()?,
            label: none_if_empty(wire.label),
            recipient: address.recipient,
            line1: address.line1,
            line2: address.line2,
            city: address.city,
            region: address.region,
            postal_code: address.postal_code,
            country: address.country,
        })
    }
}

/// An address to keep.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({
    "label": "home", "recipient": "Ada Lovelace", "line1": "Unter den Linden 1", "city": "Berlin", "postal_code": "10117",
    "country": "DE"
})))]
pub(crate) struct NewAddress {
    /// A name for it.
    #[schema(max_length = 100)]
    pub label: Option<String>,
    /// Who receives.
    #[schema(min_length = 1, max_length = 200)]
    pub recipient: String,
    /// Street and number.
    #[schema(min_length = 1, max_length = 200)]
    pub line1: String,
    /// Flat, floor, care of.
    #[schema(max_length = 200)]
    pub line2: Option<String>,
    /// City or town.
    #[schema(min_length = 1, max_length = 100)]
    pub city: String,
    /// State, province or county.
    #[schema(max_length = 100)]
    pub region: Option<String>,
    /// Post or ZIP code.
    #[schema(min_length = 1, max_length = 20)]
    pub postal_code: String,
    /// ISO 3166-1 alpha-2 code.
    #[schema(pattern = "^[A-Z]{2}$")]
    pub country: String,
}

impl NewAddress {
    /// The call that keeps it for a user.
    pub(crate) fn into_request(self, user_id: String) -> user::CreateAddressRequest {
        let address = types::PostalAddress {
            recipient: self.recipient,
            line1: self.line1,
            line2: self.line2.unwrap_or_default(),
            city: self.city,
            region: self.region.unwrap_or_default(),
            postal_code: self.postal_code,
            country: self.country,
        };
        user::CreateAddressRequest { user_id, label: self.label.unwrap_or_default(), address: Some(address) }
    }
}

/// Changes to an address (JSON Merge Patch): what is left out stays, `null` clears `label`, `line2` and `region`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"label": "office", "line2": null})))]
pub(crate) struct AddressPatch {
    /// A name for it.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 100)]
    pub label: Patch<String>,
    /// Who receives.
    #[serde(default)]
    #[schema(value_type = String, min_length = 1, max_length = 200, required = false)]
    pub recipient: Patch<String>,
    /// Street and number.
    #[serde(default)]
    #[schema(value_type = String, min_length = 1, max_length = 200, required = false)]
    pub line1: Patch<String>,
    /// Flat, floor, care of.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 200)]
    pub line2: Patch<String>,
    /// City or town.
    #[serde(default)]
    #[schema(value_type = String, min_length = 1, max_length = 100, required = false)]
    pub city: Patch<String>,
    /// State, province or county.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 100)]
    pub region: Patch<String>,
    /// Post or ZIP code.
    #[serde(default)]
    #[schema(value_type = String, min_length = 1, max_length = 20, required = false)]
    pub postal_code: Patch<String>,
    /// ISO 3166-1 alpha-2 code.
    #[serde(default)]
    #[schema(value_type = String, pattern = "^[A-Z]{2}$", required = false)]
    pub country: Patch<String>,
}

impl AddressPatch {
    /// The call that changes a user's address.
    pub(crate) fn into_request(self, user_id: String, address_id: Id) -> Result<user::UpdateAddressRequest, Problem> {
        Ok(user::UpdateAddressRequest {
            user_id,
            address_id: address_id.into(),
            label: self.label.or_empty(),
            recipient: self.recipient.never_null("/recipient")?,
            line1: self.line1.never_null("/line1")?,
            line2: self.line2.or_empty(),
            city: self.city.never_null("/city")?,
            region: self.region.or_empty(),
            postal_code: self.postal_code.never_null("/postal_code")?,
            country: self.country.never_null("/country")?,
        })
    }
}
