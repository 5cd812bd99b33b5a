//! `shop.product.v1.CategoryService`.

use shop_proto::product::{self as proto, category_service_server::CategoryService, get_category_request};
use shop_types::Uuid;
use tonic::{Request, Response, Status, async_trait};

use super::status::status;
use crate::{
    app::{self, Error},
    domain::{CategoryChange, Key, NewCategory},
};

pub(super) struct Categories {
    pub(super) categories: app::Categories,
}

/// What can't be an id is no category's.
fn category_id(text: &str) -> Result<Uuid, Status> {
    Uuid::try_parse(text).map_err(|_| status(Error::UnknownCategory))
}

#[async_trait]
impl CategoryService for Categories {
    async fn list_categories(
        &self,
        request: Request<proto::ListCategoriesRequest>,
    ) -> Result<Response<proto::ListCategoriesResponse>, Status> {
        let proto::ListCategoriesRequest { limit, cursor } = request.into_inner();
        let (found, next_cursor) = self.categories.list(limit, &cursor).await.map_err(status)?;
        let categories = found.into_iter().map(Into::into).collect();
        let next_cursor = next_cursor.unwrap_or_default();
        Ok(Response::new(proto::ListCategoriesResponse { categories, next_cursor }))
    }

    async fn get_category(
        &self,
        request: Request<proto::GetCategoryRequest>,
    ) -> Result<Response<proto::GetCategoryResponse>, Status> {
        let key = match request.into_inner().key {
            Some(get_category_request::Key::Id(id)) => Key::parse_id(&id),
            Some(get_category_request::Key::Slug(slug)) => Key::parse_slug(&slug),
            None => None,
        };
        let key = key.ok_or_else(|| status(Error::UnknownCategory))?;
        let category = self.categories.get(&key).await.map_err(status)?;
        Ok(Response::new(proto::GetCategoryResponse { category: Some(category.into()) }))
    }

    async fn create_category(
        &self,
        request: Request<proto::CreateCategoryRequest>,
    ) -> Result<Response<proto::CreateCategoryResponse>, Status> {
        let proto::CreateCategoryRequest { slug, name, parent_id } = request.into_inner();
        let category = NewCategory::parse(&slug, &name, &parent_id).map_err(status)?;
        let category = self.categories.create(category).await.map_err(status)?;
        Ok(Response::new(proto::CreateCategoryResponse { category: Some(category.into()) }))
    }

    async fn update_category(
        &self,
        request: Request<proto::UpdateCategoryRequest>,
    ) -> Result<Response<proto::UpdateCategoryResponse>, Status> {
        let request = request.into_inner();
        let id = category_id(&request.category_id)?;
        let (slug, name) = (request.slug.as_deref(), request.name.as_deref());
        let change = CategoryChange::parse(slug, name, request.parent_id.as_deref()).map_err(status)?;
        let category = self.categories.update(id, request.expected_version, change).await.map_err(status)?;
        Ok(Response::new(proto::UpdateCategoryResponse { category: Some(category.into()) }))
    }

    async fn delete_category(
        &self,
        request: Request<proto::DeleteCategoryRequest>,
    ) -> Result<Response<proto::DeleteCategoryResponse>, Status> {
        let proto::DeleteCategoryRequest { category_id: id, expected_version } = request.into_inner();
        self.categories.delete(category_id(&id)?, expected_version).await.map_err(status)?;
        Ok(Response::new(proto::DeleteCategoryResponse {}))
    }
}
