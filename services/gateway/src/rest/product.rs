//! The catalogue.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor},
};
use shop_proto::product;
use utoipa::{
    IntoParams, ToSchema,
    openapi::{
        Object, ObjectBuilder,
        schema::{SchemaType, Type},
    },
};

use super::{
    Availability, BadReply, Cursor, Id, Limit, Money, Page, Patch, SlugOrId, Timestamp, none_if_empty, optional,
    required, wire_enum,
};
use crate::problem::Problem;

wire_enum! {
    /// Whether a product is for sale.
    ProductStatus = product::ProductStatus {
        /// Listed and orderable.
        Active,
        /// Neither; its page remains.
        Archived,
    }
}

/// A product of the catalogue. Stock is not part of it: it changes without a new version.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": "0198c9a5-7d3e-7c4e-9d0a-3f1f5f0a1b2c", "sku": "MUG-BLUE-350", "slug": "blue-mug", "name": "Blue mug",
    "description": "Holds 350 ml.", "category_id": "0198c9a5-9999-7c4e-9d0a-3f1f5f0a1b2c",
    "price": {"amount": 1999, "currency": "USD"}, "attributes": {"colour": "blue"}, "image_url": null,
    "status": "active", "version": 1, "created_at": "2026-11-22T09:00:00Z",
    "updated_at": "2026-11-22T09:00:00Z"
})))]
pub(crate) struct Product {
    /// Its id.
    pub id: Id,
    /// The shop's own number for it; unique for ever.
    pub sku: String,
    /// Its name in URLs; unique for ever.
    pub slug: String,
    /// What it is called.
    pub name: String,
    /// What it is; may be empty.
    pub description: String,
    /// The category it is in, if it is in one.
    #[schema(required)]
    pub category_id: Option<Id>,
    /// What one costs.
    pub price: Money,
    /// Further properties.
    pub attributes: BTreeMap<String, String>,
    /// Where a picture of it is.
    #[schema(required)]
    pub image_url: Option<String>,
    /// Whether it is for sale.
    pub status: ProductStatus,
    /// Grows by one with each change; its `ETag`.
    #[schema(minimum = 1)]
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl TryFrom<product::Product> for Product {
    type Error = BadReply;

    fn try_from(wire: product::Product) -> Result<Self, BadReply> {
        Ok(Self {
            id: wire.id.try_into()?,
            sku: wire.sku,
            slug: wire.slug,
            name: wire.name,
            description: wire.description,
            category_id: none_if_empty(wire.category_id).map(Id::try_from).transpose()?,
            price: required(wire.price, "price")?,
            attributes: wire.attributes.into_iter().collect(),
            image_url: none_if_empty(wire.image_url),
            status: ProductStatus::from_wire(wire.status)?.ok_or(BadReply("status"))?,
            version: wire.version,
            created_at: required(wire.created_at, "created_at")?,
            updated_at: required(wire.updated_at, "updated_at")?,
        })
    }
}

/// A product in a listing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListedProduct {
    /// The product.
    #[serde(flatten)]
    pub product: Product,
    /// How many can be bought now; there with `include=availability`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub availability: Option<Availability>,
}

/// A page of them.
pub(crate) type ProductPage = Page<ListedProduct>;

impl TryFrom<product::ListedProduct> for ListedProduct {
    type Error = BadReply;

    fn try_from(wire: product::ListedProduct) -> Result<Self, BadReply> {
        let product = required(wire.product, "product")?;
        Ok(Self { product, availability: optional(wire.availability)? })
    }
}

impl From<SlugOrId> for product::GetProductRequest {
    fn from(key: SlugOrId) -> Self {
        use product::get_product_request::Key;
        let key = match key {
            SlugOrId::Id(id) => Key::Id(id.into()),
            SlugOrId::Slug(slug) => Key::Slug(slug),
        };
        Self { key: Some(key) }
    }
}

/// The order of a listing. Ties are broken by id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub enum ProductSort {
    /// Newest first.
    #[default]
    #[serde(rename = "created_at")]
    CreatedAt,
    /// Cheapest first.
    #[serde(rename = "price")]
    Price,
    /// Dearest first.
    #[serde(rename = "-price")]
    PriceDescending,
    /// By name.
    #[serde(rename = "name")]
    Name,
}

impl From<ProductSort> for product::ProductSort {
    fn from(sort: ProductSort) -> Self {
        match sort {
            ProductSort::CreatedAt => Self::Unspecified,
            ProductSort::Price => Self::PriceAsc,
            ProductSort::PriceDescending => Self::PriceDesc,
            ProductSort::Name => Self::Name,
        }
    }
}

/// What may be added to each product of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Include {
    /// How many can be bought now.
    Availability,
}

/// The parameters of the catalogue's listing.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListProductsQuery {
    /// Only products in whose name, description or SKU all of these words are. Case, accents and English plurals do not
    /// matter; there are no operators.
    #[param(max_length = 100)]
    pub q: Option<String>,
    /// Only products in this category or below it, by its id or slug.
    #[param(min_length = 1, max_length = 100)]
    #[serde(default, deserialize_with = "id_or_slug")]
    pub category: Option<String>,
    /// Only products that cost at least this, in minor units.
    #[param(minimum = 0)]
    pub min_price: Option<i64>,
    /// Only products that cost at most this, in minor units.
    #[param(minimum = 0)]
    pub max_price: Option<i64>,
    /// Only products that are (`true`) or are not (`false`) in stock.
    pub in_stock: Option<bool>,
    /// The order of the listing; `created_at` is newest first.
    #[param(inline)]
    pub sort: Option<ProductSort>,
    /// How many items the page may hold.
    #[param(inline)]
    pub limit: Option<Limit>,
    /// The `next_cursor` of the page before.
    #[param(inline)]
    pub cursor: Option<Cursor>,
    /// `archived` is for staff; `active` is the default.
    #[param(inline)]
    pub status: Option<ProductStatus>,
    /// What to add to each product.
    #[param(inline)]
    pub include: Option<Include>,
}

/// What could be a category's name. Nothing at all is a mistake, since there is no filter without the parameter.
fn id_or_slug<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    const LONGEST: usize = 100;
    let text = String::deserialize(deserializer)?;
    if (1..=LONGEST).contains(&text.chars().count()) {
        Ok(Some(text))
    } else {
        Err(de::Error::custom("must be the id or the slug of a category"))
    }
}

impl From<ListProductsQuery> for product::ListProductsRequest {
    fn from(query: ListProductsQuery) -> Self {
        Self {
            limit: Limit::or_default(query.limit),
            cursor: Cursor::or_start(query.cursor),
            sort: product::ProductSort::from(query.sort.unwrap_or_default()).into(),
            min_price: query.min_price,
            max_price: query.max_price,
            in_stock: query.in_stock,
            status: query.status.map_or(product::ProductStatus::Unspecified, Into::into).into(),
            include_availability: query.include.is_some(),
            q: query.q.unwrap_or_default(),
            category: query.category.unwrap_or_default(),
        }
    }
}

/// Names and values, each name once: JSON's rule for names that repeat is that anything may happen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes<V>(pub BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Attributes<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EachOnce<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for EachOnce<V> {
            type Value = BTreeMap<String, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, V>()? {
                    if entries.contains_key(&name) {
                        return Err(de::Error::custom(format_args!("duplicate field `{name}`")));
                    }
                    entries.insert(name, value);
                }
                Ok(entries)
            }
        }

        deserializer.deserialize_map(EachOnce(PhantomData)).map(Self)
    }
}

const MAX_ATTRIBUTES: usize = 50;
const MAX_ATTRIBUTE_CHARACTERS: usize = 200;

fn attributes_schema() -> Object {
    let value = ObjectBuilder::new().schema_type(Type::String).max_length(Some(MAX_ATTRIBUTE_CHARACTERS));
    let attributes = ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(value));
    attributes.max_properties(Some(MAX_ATTRIBUTES)).description(Some("Further properties.")).build()
}

fn attributes_patch_schema() -> Object {
    let nullable = |of| SchemaType::from_iter([of, Type::Null]);
    let value = ObjectBuilder::new().schema_type(nullable(Type::String)).max_length(Some(MAX_ATTRIBUTE_CHARACTERS));
    let attributes = ObjectBuilder::new().schema_type(nullable(Type::Object)).additional_properties(Some(value));
    attributes.max_properties(Some(MAX_ATTRIBUTES)).description(Some("What to set, and with `null` to drop.")).build()
}

/// A product to offer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({
    "sku": "MUG-BLUE-350", "slug": "blue-mug", "name": "Blue mug", "description": "Holds 350 ml.",
    "category_id": null, "price": {"amount": 1999, "currency": "USD"}, "attributes": {"colour": "blue"}
})))]
pub struct NewProduct {
    /// The shop's own number for it; unique for ever.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._/-]+$")]
    pub sku: String,
    /// Its name in URLs; unique for ever, never shaped like an id.
    #[schema(min_length = 1, max_length = 100, pattern = "^[a-z0-9-]+$")]
    pub slug: String,
    /// What it is called.
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    /// What it is.
    #[schema(max_length = 10_000)]
    pub description: Option<String>,
    /// The category it is in; left out or `null` for none.
    pub category_id: Option<Id>,
    /// What one costs, in the shop's currency.
    pub price: Money,
    /// Further properties.
    #[serde(default)]
    #[schema(schema_with = attributes_schema, required = false)]
    pub attributes: Attributes<String>,
    /// Where a picture of it is.
    #[schema(format = "uri", max_length = 2_048)]
    pub image_url: Option<String>,
}

impl From<NewProduct> for product::CreateProductRequest {
    fn from(new: NewProduct) -> Self {
        Self {
            sku: new.sku,
            slug: new.slug,
            name: new.name,
            description: new.description.unwrap_or_default(),
            category_id: new.category_id.map(Into::into).unwrap_or_default(),
            price: Some(new.price.into()),
            attributes: new.attributes.0.into_iter().collect(),
            image_url: new.image_url.unwrap_or_default(),
        }
    }
}

/// Changes to a product (JSON Merge Patch): what is left out stays; `null` clears `description`, `category_id`,
/// `image_url`, `attributes` and single attributes.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"price": {"amount": 1799, "currency": "USD"}, "attributes": {"colour": "navy", "season": null}})))]
pub(crate) struct ProductPatch {
    /// Its name in URLs; unique for ever.
    #[serde(default)]
    #[schema(value_type = String, min_length = 1, max_length = 100, pattern = "^[a-z0-9-]+$", required = false)]
    pub slug: Patch<String>,
    /// What it is called.
    #[serde(default)]
    #[schema(value_type = String, min_length = 1, max_length = 200, required = false)]
    pub name: Patch<String>,
    /// What it is.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 10_000)]
    pub description: Patch<String>,
    /// The category it is in.
    #[serde(default)]
    #[schema(value_type = Option<Id>)]
    pub category_id: Patch<Id>,
    /// What one costs, in the shop's currency.
    #[serde(default)]
    #[schema(value_type = Money, required = false)]
    pub price: Patch<Money>,
    /// Attributes to set, and with `null` to drop.
    #[serde(default)]
    #[schema(schema_with = attributes_patch_schema, required = false)]
    pub attributes: Patch<Attributes<Option<String>>>,
    /// Where a picture of it is.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "uri", max_length = 2_048)]
    pub image_url: Patch<String>,
    /// `active` brings an archived product back.
    #[serde(default)]
    #[schema(value_type = ProductStatus, required = false)]
    pub status: Patch<ProductStatus>,
}

impl ProductPatch {
    /// The call that changes a product from one version to the next.
    pub(crate) fn into_request(
        self,
        product_id: Id,
        expected_version: i64,
    ) -> Result<product::UpdateProductRequest, Problem> {
        let clear_attributes = self.attributes == Patch::Null;
        let (mut attributes, mut dropped_attributes) = (std::collections::HashMap::new(), Vec::new());
        for (name, value) in self.attributes.or_empty().unwrap_or_default().0 {
            match value {
                Some(value) => drop(attributes.insert(name, value)),
                None => dropped_attributes.push(name),
            }
        }
        Ok(product::UpdateProductRequest {
            product_id: product_id.into(),
            expected_version,
            name: self.name.never_null("/name")?,
            description: self.description.or_empty(),
            category_id: self.category_id.map(String::from).or_empty(),
            price: self.price.never_null("/price")?.map(Into::into),
            slug: self.slug.never_null("/slug")?,
            image_url: self.image_url.or_empty(),
            attributes,
            dropped_attributes,
            clear_attributes,
            status: self.status.never_null("/status")?.map(|status| product::ProductStatus::from(status).into()),
        })
    }
}
