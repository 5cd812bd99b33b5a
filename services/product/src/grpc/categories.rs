//! `shop.product.v1.CategoryService`.

use shop_proto::product::{self as proto, category_service_server::CategoryService};
use tonic::{Request, Response, Status, async_trait};

pub(super) struct Categories;

#[async_trait]
impl CategoryService for Categories {
    async fn list_categories(
        &self,
        _: Request<proto::ListCategoriesRequest>,
    ) -> Result<Response<proto::ListCategoriesResponse>, Status> {
        Err(Status::unimplemented("categories are not kept yet"))
    }

    async fn get_category(
        &self,
        _: Request<proto::GetCategoryRequest>,
    ) -> Result<Response<proto::GetCategoryResponse>, Status> {
        Err(Status::unimplemented("categories are not kept yet"))
    }

    async fn create_category(
        &self,
        _: Request<proto::CreateCategoryRequest>,
    ) -> Result<Response<proto::CreateCategoryResponse>, Status> {
        Err(Status::unimplemented("categories are not kept yet"))
    }

    async fn update_category(
        &self,
        _: Request<proto::UpdateCategoryRequest>,
    ) -> Result<Response<proto::UpdateCategoryResponse>, Status> {
        Err(Status::unimplemented("categories are not kept yet"))
    }

    async fn delete_category(
        &self,
        _: Request<proto::DeleteCategoryRequest>,
    ) -> Result<Response<proto::DeleteCategoryResponse>, Status> {
        Err(Status::unimplemented("categories are not kept yet"))
    }
}
