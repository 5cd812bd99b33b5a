//! The catalogue.

use axum::{
    Json,
    extract::{OriginalUri, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use shop_proto::product;

use super::{created, page, revalidate, tagged};
use crate::{
    cache::Key,
    extract::{IfMatch, IfNoneMatch, JsonBody, NoQuery, Staff, UrlPath, UrlQuery, Visitor, etag},
    openapi::problems,
    problem::{Problem, SharedProblem},
    rest::{Id, ListProductsQuery, NewProduct, Product, ProductPage, ProductPatch, SlugOrId, required},
    state::Gateway,
};

problems! {
    ListProductsProblems: PUBLIC, LISTING, [ValidationFailed, Forbidden],
    GetProductProblems: PUBLIC, [NotFound],
    CreateProductProblems: ROLE, BODY, [SkuTaken, SlugTaken],
    UpdateProductProblems: ROLE, BODY, [NotFound, SlugTaken, StateConflict, StaleVersion, PreconditionRequired],
    ArchiveProductProblems: ROLE, [NotFound, StateConflict, StaleVersion, PreconditionRequired],
}

/// List products
///
/// Products for sale; for staff that ask for them, archived ones.
#[utoipa::path(get, path = "/products", operation_id = "list_products", tag = "products",
    security((), ("bearer" = [])), params(ListProductsQuery),
    responses((status = 200, description = "A page of products.", body = ProductPage,
        headers(("Link" = String, description = "The next page, `rel=\"next\"`; not on the last."))), ListProductsProblems))]
pub(crate) async fn list(
    State(gateway): State<Gateway>,
    OriginalUri(uri): OriginalUri,
    visitor: Visitor,
    UrlQuery(query): UrlQuery<ListProductsQuery>,
) -> Result<Response, Problem> {
    let request = visitor.request(product::ListProductsRequest::from(query));
    let reply = gateway.products().list_products(request).await?.into_inner();
    Ok(revalidate(page(&uri, ProductPage::new(reply.products, reply.next_cursor)?)))
}

/// Show a product
///
/// By id or slug, archived or not.
#[utoipa::path(get, path = "/products/{product}", operation_id = "get_product", tag = "products",
    security((), ("bearer" = [])),
    params(("product" = String, Path, description = "The product's id or slug."),
        ("If-None-Match" = Option<String>, Header, description = "ETags of the versions the client has.")),
    responses(
        (status = 200, description = "The product.", body = Product, headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "The client has this version.", headers(("ETag" = String, description = "Its version."))),
        GetProductProblems))]
pub(crate) async fn get(
    State(gateway): State<Gateway>,
    _: Visitor,
    UrlPath(key): UrlPath<SlugOrId>,
    _: NoQuery,
    held: IfNoneMatch,
) -> Result<Response, SharedProblem> {
    let ask = || async {
        // Anyone sees the same, so one asks for all.
        let request = tonic::Request::new(product::GetProductRequest::from(key.clone()));
        let reply = gateway.products().get_product(request).await?.into_inner();
        Ok(required::<_, Product>(reply.product, "product")?)
    };
    let entry = gateway.kept_products().get(Key::from(&key), ask).await?;
    if let Some(tag) = held.held(&entry.tag) {
        return Ok(revalidate((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response()));
    }
    Ok(tagged(entry.json.clone(), HeaderValue::from_static("application/json"), entry.tag.clone()))
}

/// Offer a product
///
/// For staff.
#[utoipa::path(post, path = "/products", operation_id = "create_product", tag = "products", security(("bearer" = [])),
    request_body = NewProduct,
    responses((status = 201, description = "The product.", body = Product,
        headers(("Location" = String, description = "The product's URL."), ("ETag" = String, description = "Its version."))),
        CreateProductProblems))]
pub(crate) async fn create(
    State(gateway): State<Gateway>,
    staff: Staff,
    _: NoQuery,
    JsonBody(new): JsonBody<NewProduct>,
) -> Result<Response, Problem> {
    let slug = Key::Slug(new.slug.as_str().into());
    let request = staff.request(product::CreateProductRequest::from(new));
    let changing = gateway.kept_products().changing([slug]);
    let reply = gateway.products().create_product(request).await;
    drop(changing);
    let reply = reply?.into_inner();
    let product: Product = required(reply.product, "product")?;
    let tag = etag(product.version);
    let mut response = created(&format!("/products/{}", product.id), product);
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

/// Change a product
///
/// For staff. The SKU never changes.
#[utoipa::path(patch, path = "/products/{product}", operation_id = "update_product", tag = "products",
    security(("bearer" = [])),
    params(("product" = Id, Path, description = "The product's id."),
        ("If-Match" = String, Header, description = "The ETag of the version that is changed.",
            pattern = r#"^"[1-9][0-9]*(-(zstd|br|gzip))?"$"#)),
    request_body(content((ProductPatch = "application/json"), (ProductPatch = "application/merge-patch+json"))),
    responses((status = 200, description = "The product as it is now.", body = Product,
        headers(("ETag" = String, description = "Its new version."))), UpdateProductProblems))]
pub(crate) async fn update(
    State(gateway): State<Gateway>,
    staff: Staff,
    UrlPath(product_id): UrlPath<Id>,
    _: NoQuery,
    IfMatch(version): IfMatch,
    JsonBody(patch): JsonBody<ProductPatch>,
) -> Result<Response, Problem> {
    let message = patch.into_request(product_id, version)?;
    let slug = message.slug.as_deref().map(|slug| Key::Slug(slug.into()));
    let changing = gateway.kept_products().changing([Key::Id(product_id.0)].into_iter().chain(slug));
    let reply = gateway.products().update_product(staff.request(message)).await;
    // Also when it failed: the change may have been made and its answer lost.
    drop(changing);
    let reply = reply?.into_inner();
    Ok(versioned(required(reply.product, "product")?))
}

/// Archive a product
///
/// For staff. It is neither listed nor sold any more; its page remains.
#[utoipa::path(delete, path = "/products/{product}", operation_id = "archive_product", tag = "products",
    security(("bearer" = [])),
    params(("product" = Id, Path, description = "The product's id."),
        ("If-Match" = String, Header, description = "The ETag of the version that is archived.",
            pattern = r#"^"[1-9][0-9]*(-(zstd|br|gzip))?"$"#)),
    responses((status = 204, description = "The product is archived."), ArchiveProductProblems))]
pub(crate) async fn archive(
    State(gateway): State<Gateway>,
    staff: Staff,
    UrlPath(product_id): UrlPath<Id>,
    _: NoQuery,
    IfMatch(expected_version): IfMatch,
) -> Result<StatusCode, Problem> {
    let message = product::ArchiveProductRequest { product_id: product_id.into(), expected_version };
    let changing = gateway.kept_products().changing([Key::Id(product_id.0)]);
    let reply = gateway.products().archive_product(staff.request(message)).await;
    drop(changing);
    reply?;
    Ok(StatusCode::NO_CONTENT)
}

fn versioned(product: Product) -> Response {
    ([(header::ETAG, etag(product.version))], Json(product)).into_response()
}
