//! The tree that the catalogue is ordered by.

use serde::{Deserialize, Serialize};
use shop_proto::product;
use utoipa::ToSchema;

use super::{BadReply, Id, Page, Patch, SlugOrId, none_if_empty};
use crate::problem::Problem;

/// A node of the tree. A product is in one at most, and found in all above it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": "0198c9a5-9999-7c4e-9d0a-3f1f5f0a1b2c", "slug": "mugs", "name": "Mugs",
    "parent_id": "0198c9a5-9998-7c4e-9d0a-3f1f5f0a1b2c", "version": 1
})))]
pub(crate) struct Category {
    /// Its id.
    pub id: Id,
    /// Its name in URLs; unique among categories.
    pub slug: String,
    /// What it is called.
    pub name: String,
    /// The category it is below; `null` at the top.
    #[schema(required)]
    pub parent_id: Option<Id>,
    /// Grows by one with each change; its `ETag`.
    #[schema(minimum = 1)]
    pub version: i64,
}

/// A page of them.
pub(crate) type CategoryPage = Page<Category>;

impl TryFrom<product::Category> for Category {
    type Error = BadReply;

    fn try_from(wire: product::Category) -> Result<Self, BadReply> {
        Ok(Self {
            id: wire.id.try_into()?,
            slug: wire.slug,
            name: wire.name,
            parent_id: none_if_empty(wire.parent_id).map(Id::try_from).transpose()?,
            version: wire.version,
        })
    }
}

impl From<SlugOrId> for product::GetCategoryRequest {
    fn from(key: SlugOrId) -> Self {
        use product::get_category_request::Key;
        let key = match key {
            SlugOrId::Id(id) => Key::Id(id.into()),
            SlugOrId::Slug(slug) => Key::Slug(slug),
        };
        Self { key: Some(key) }
    }
}

/// A category to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"slug": "mugs", "name": "Mugs", "parent_id": null})))]
pub(crate) struct NewCategory {
    /// Its name in URLs; unique among categories, never shaped like an id.
    #[schema(min_length = 1, max_length = 100, pattern = "^[a-z0-9-]+$")]
    pub slug: String,
    /// What it is called.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// The category it is below; left out or `null` at the top.
    pub parent_id: Option<Id>,
}

impl From<NewCategory> for product::CreateCategoryRequest {
    fn from(new: NewCategory) -> Self {
        Self { slug: new.slug, name: new.name, parent_id: new.parent_id.map(Into::into).unwrap_or_default() }
    }
}

/// Changes to a category (JSON Merge Patch): what is left out stays; `null` for `parent_id` moves it to the top.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "Mugs and cups", "parent_id": null})))]
pub(crate) struct CategoryPatch {
    /// Its name in URLs.
    #[serde(default)]
    #[schema(value_type = String, min_length = 1, max_length = 100, pattern = "^[a-z0-9-]+$", required = false)]
    pub slug: Patch<String>,
    /// What it is called.
    #[serde(default)]
    #[schema(value_type = String, min_length = 1, max_length = 100, required = false)]
    pub name: Patch<String>,
    /// The category it is below. What is below it moves along.
    #[serde(default)]
    #[schema(value_type = Option<Id>)]
    pub parent_id: Patch<Id>,
}

impl CategoryPatch {
    /// The call that changes a category, from one version to the next if that is said.
    pub(crate) fn into_request(
        self,
        category_id: Id,
        expected_version: Option<i64>,
    ) -> Result<product::UpdateCategoryRequest, Problem> {
        Ok(product::UpdateCategoryRequest {
            category_id: category_id.into(),
            expected_version,
            slug: self.slug.never_null("/slug")?,
            name: self.name.never_null("/name")?,
            parent_id: self.parent_id.map(String::from).or_empty(),
        })
    }
}
