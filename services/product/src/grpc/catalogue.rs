//! `shop.product.v1.ProductService`.

use shop_auth::caller;
use shop_proto::product::{self as proto, product_service_server::ProductService};
use shop_types::Uuid;
use tonic::{Request, Response, Status, async_trait};

use super::{convert, status::status};
use crate::{
    app::{Catalogue, Error, Inventory, ListQuery},
    domain::{AdjustmentRequest, Filter, Key, ProductStatus, RawChange, RawFilter, RawProduct},
};

pub(super) struct Products {
    pub(super) catalogue: Catalogue,
    pub(super) inventory: Inventory,
}

/// What can't be an id is nobody's.
fn product_id(text: &str) -> Result<Uuid, Status> {
    Uuid::try_parse(text).map_err(|_| status(Error::UnknownProduct))
}

fn pairs(attributes: &std::collections::HashMap<String, String>) -> Vec<(&str, &str)> {
    let mut pairs: Vec<_> = attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // So that the same request has the same violations in the same order.
    pairs.sort_unstable();
    pairs
}

#[async_trait]
impl ProductService for Products {
    async fn list_products(
        &self,
        request: Request<proto::ListProductsRequest>,
    ) -> Result<Response<proto::ListProductsResponse>, Status> {
        let is_staff = caller(request.extensions()).is_staff();
        let request = request.into_inner();
        let product_status =
            convert::status(request.status, "status").map_err(status)?.unwrap_or(ProductStatus::Active);
        Catalogue::may_list(product_status, is_staff).map_err(status)?;
        let filter = RawFilter {
            status: product_status,
            min_price: request.min_price,
            max_price: request.max_price,
            in_stock: request.in_stock,
            query: &request.q,
            category: &request.category,
        };
        let query = ListQuery {
            filter: Filter::parse(&filter).map_err(status)?,
            sort: convert::sort(request.sort).map_err(status)?,
            limit: request.limit,
            cursor: &request.cursor,
            with_availability: request.include_availability,
        };
        let page = self.catalogue.list(query).await.map_err(status)?;
        let products = page.products.into_iter().map(|(product, availability)| proto::ListedProduct {
            product: Some(product.into()),
            availability: availability.map(Into::into),
        });
        Ok(Response::new(proto::ListProductsResponse {
            products: products.collect(),
            next_cursor: page.next_cursor.unwrap_or_default(),
        }))
    }

    async fn get_product(
        &self,
        request: Request<proto::GetProductRequest>,
    ) -> Result<Response<proto::GetProductResponse>, Status> {
        use proto::get_product_request::Key as ProtoKey;
        let key = match request.into_inner().key {
            Some(ProtoKey::Id(id)) => Key::parse_id(&id),
            Some(ProtoKey::Slug(slug)) => Key::parse_slug(&slug),
            None => None,
        };
        let key = key.ok_or_else(|| status(Error::UnknownProduct))?;
        let product = self.catalogue.get(&key).await.map_err(status)?;
        Ok(Response::new(proto::GetProductResponse { product: Some(product.into()) }))
    }

    async fn create_product(
        &self,
        request: Request<proto::CreateProductRequest>,
    ) -> Result<Response<proto::CreateProductResponse>, Status> {
        let request = request.into_inner();
        let raw = RawProduct {
            sku: &request.sku,
            slug: &request.slug,
            name: &request.name,
            description: &request.description,
            category_id: &request.category_id,
            price: convert::raw_price(request.price.as_ref()),
            attributes: pairs(&request.attributes),
            image_url: &request.image_url,
        };
        let product = self.catalogue.create(&raw).await.map_err(status)?;
        Ok(Response::new(proto::CreateProductResponse { product: Some(product.into()) }))
    }

    async fn update_product(
        &self,
        request: Request<proto::UpdateProductRequest>,
    ) -> Result<Response<proto::UpdateProductResponse>, Status> {
        let request = request.into_inner();
        let id = product_id(&request.product_id)?;
        let raw = RawChange {
            slug: request.slug.as_deref(),
            name: request.name.as_deref(),
            description: request.description.as_deref(),
            category_id: request.category_id.as_deref(),
            price: convert::raw_price(request.price.as_ref()),
            image_url: request.image_url.as_deref(),
            set_attributes: pairs(&request.attributes),
            dropped_attributes: request.dropped_attributes.iter().map(String::as_str).collect(),
            clear_attributes: request.clear_attributes,
            status: convert::status(request.status.unwrap_or_default(), "/status").map_err(status)?,
        };
        let product = self.catalogue.update(id, request.expected_version, &raw).await.map_err(status)?;
        Ok(Response::new(proto::UpdateProductResponse { product: Some(product.into()) }))
    }

    async fn archive_product(
        &self,
        request: Request<proto::ArchiveProductRequest>,
    ) -> Result<Response<proto::ArchiveProductResponse>, Status> {
        let request = request.into_inner();
        let id = product_id(&request.product_id)?;
        let product = self.catalogue.archive(id, request.expected_version).await.map_err(status)?;
        Ok(Response::new(proto::ArchiveProductResponse { product: Some(product.into()) }))
    }

    async fn get_availability(
        &self,
        request: Request<proto::GetAvailabilityRequest>,
    ) -> Result<Response<proto::GetAvailabilityResponse>, Status> {
        let found = self.inventory.availability(&request.into_inner().product_ids).await.map_err(status)?;
        let availabilities = found.into_iter().map(Into::into).collect();
        Ok(Response::new(proto::GetAvailabilityResponse { availabilities }))
    }

    async fn get_inventory(
        &self,
        request: Request<proto::GetInventoryRequest>,
    ) -> Result<Response<proto::GetInventoryResponse>, Status> {
        let id = product_id(&request.into_inner().product_id)?;
        let stock = self.inventory.stock(id).await.map_err(status)?;
        Ok(Response::new(proto::GetInventoryResponse { inventory: Some(convert::inventory(id, stock)) }))
    }

    async fn adjust_inventory(
        &self,
        request: Request<proto::AdjustInventoryRequest>,
    ) -> Result<Response<proto::AdjustInventoryResponse>, Status> {
        let actor = caller(request.extensions()).user().map(|user| user.user_id.to_string()).unwrap_or_default();
        let proto::AdjustInventoryRequest { product_id: id, delta, reason, idempotency_key } = request.into_inner();
        let request = AdjustmentRequest::parse(product_id(&id)?, delta, &reason, &idempotency_key, actor);
        let (adjustment, replayed) = self.inventory.adjust(request.map_err(status)?).await.map_err(status)?;
        Ok(Response::new(proto::AdjustInventoryResponse { adjustment: Some(adjustment.into()), replayed }))
    }
}
