//! Values that occur in many resources: ids, money, times.

use std::{convert::Infallible, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use shop_proto::types;
use shop_types::{Instant, Uuid};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, schema::Type},
};

use super::BadReply;

/// An id: a UUID in its hyphenated form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(pub Uuid);

/// The text is no hyphenated UUID.
#[derive(Debug, thiserror::Error)]
#[error("must be an id: a UUID such as 0198c9a5-7d3e-7c4e-9d0a-3f1f5f0a1b2c")]
pub struct NoId;

impl FromStr for Id {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        // The parser also takes forms that would make one resource known under several URLs.
        let hyphenated = text.len() == uuid::fmt::Hyphenated::LENGTH;
        Uuid::try_parse(text).ok().filter(|_| hyphenated).map(Self).ok_or(NoId)
    }
}

impl TryFrom<String> for Id {
    type Error = BadReply;

    fn try_from(text: String) -> Result<Self, BadReply> {
        text.parse().map_err(|_| BadReply("id"))
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0.to_string()
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.as_hyphenated())
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl PartialSchema for Id {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
            .description(Some("UUIDv7 in its hyphenated form."))
            .examples(["0198c9a5-7d3e-7c4e-9d0a-3f1f5f0a1b2c"])
            .into()
    }
}

impl ToSchema for Id {}

/// What a URL names a thing of the catalogue by.
#[derive(Debug, Clone)]
pub enum SlugOrId {
    /// Its id.
    Id(Id),
    /// Its slug; never shaped like an id.
    Slug(String),
}

impl FromStr for SlugOrId {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::Slug(text.to_owned()), Self::Id))
    }
}

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timestamp(pub Instant);

impl From<prost_types::Timestamp> for Timestamp {
    fn from(wire: prost_types::Timestamp) -> Self {
        let micros = wire.seconds.saturating_mul(1_000_000).saturating_add(i64::from(wire.nanos) / 1_000);
        Self(Instant::from_micros(micros))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339, in UTC with `Z`, to the microsecond."))
            .examples(["2026-11-22T09:00:00.00025Z"])
            .into()
    }
}

impl ToSchema for Timestamp {}

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"amount": 1999, "currency": "USD"})))]
pub struct Money {
    /// In the currency's minor unit: cents for USD.
    #[schema(minimum = 0)]
    pub amount: i64,
    /// ISO 4217 alphabetic code.
    #[schema(pattern = "^[A-Z]{3}$")]
    pub currency: String,
}

impl From<types::Money> for Money {
    fn from(wire: types::Money) -> Self {
        Self { amount: wire.amount, currency: wire.currency }
    }
}

impl From<Money> for types::Money {
    fn from(money: Money) -> Self {
        Self { amount: money.amount, currency: money.currency }
    }
}
