//! Pages and the parameters that every listing takes.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, Ref, RefOr, Schema,
        schema::{ArrayBuilder, SchemaType, Type},
    },
};

use super::none_if_empty;

/// One page of a listing.
#[derive(Debug, Serialize)]
pub(crate) struct Page<T> {
    /// What the page holds.
    pub items: Vec<T>,
    /// Where the next page begins; none on the last.
    pub next_cursor: Option<String>,
}

/// By hand: the derived one would repeat the item's schema instead of referring to it. Operations name a page by an alias,
/// since utoipa takes generic types apart itself.
impl<T: ToSchema> PartialSchema for Page<T> {
    fn schema() -> RefOr<Schema> {
        let items = ArrayBuilder::new().items(Ref::from_schema_name(T::name())).max_items(Some(100));
        let cursor = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some("The parameter `cursor` of the request for the next page; `null` on the last page."));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("One page of a listing."))
            .property("items", items)
            .required("items")
            .property("next_cursor", cursor)
            .required("next_cursor")
            .into()
    }
}

impl<T: ToSchema> ToSchema for Page<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Page", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

impl<T> Page<T> {
    /// A page from a reply, whose cursor is empty on the last one.
    pub(crate) fn new<M, E>(items: Vec<M>, next_cursor: String) -> Result<Self, E>
    where
        T: TryFrom<M, Error = E>,
    {
        let items = items.into_iter().map(T::try_from).collect::<Result<_, _>>()?;
        Ok(Self { items, next_cursor: none_if_empty(next_cursor) })
    }
}

/// How many items a page may hold: 1 to 100.
#[derive(Debug, Clone, Copy)]
pub struct Limit(i32);

impl Limit {
    const DEFAULT: i32 = 20;
    const MAX: i32 = 100;

    /// As the contracts want it.
    pub fn or_default(limit: Option<Self>) -> i32 {
        limit.map_or(Self::DEFAULT, |limit| limit.0)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limit = i32::deserialize(deserializer)?;
        if (1..=Self::MAX).contains(&limit) { Ok(Self(limit)) } else { Err(de::Error::custom("must be from 1 to 100")) }
    }
}

impl PartialSchema for Limit {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(Self::MAX))
            .default(Some(Self::DEFAULT.into()))
            .into()
    }
}

impl ToSchema for Limit {}

/// Where a page begins: a signed text that only a listing's own `next_cursor` yields.
#[derive(Debug, Clone)]
pub struct Cursor(String);

impl Cursor {
    /// As the contracts want it: empty for the first page.
    pub fn or_start(cursor: Option<Self>) -> String {
        cursor.map(|cursor| cursor.0).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let cursor = String::deserialize(deserializer)?;
        if cursor.is_empty() { Err(de::Error::custom("must be the next_cursor of a page")) } else { Ok(Self(cursor)) }
    }
}

impl PartialSchema for Cursor {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).into()
    }
}

impl ToSchema for Cursor {}

/// The parameters of a listing without filters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many items the page may hold.
    #[param(inline)]
    pub limit: Option<Limit>,
    /// The `next_cursor` of the page before.
    #[param(inline)]
    pub cursor: Option<Cursor>,
}
