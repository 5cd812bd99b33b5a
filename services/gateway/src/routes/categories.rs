//! The tree that the catalogue is ordered by.

use axum::{
    Json,
    extract::{OriginalUri, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use shop_proto::product;

use super::{created, page, revalidate};
use crate::{
    extract::{IfMatchIfAny, IfNoneMatch, JsonBody, NoQuery, Staff, UrlPath, UrlQuery, Visitor, etag},
    openapi::problems,
    problem::Problem,
    rest::{Category, CategoryPage, CategoryPatch, Cursor, Id, Limit, NewCategory, PageQuery, SlugOrId, required},
    state::Gateway,
};

problems! {
    ListCategoriesProblems: PUBLIC, LISTING, [],
    GetCategoryProblems: PUBLIC, [NotFound],
    CreateCategoryProblems: ROLE, BODY, [SlugTaken, StateConflict],
    UpdateCategoryProblems: ROLE, BODY, [NotFound, SlugTaken, StateConflict, StaleVersion],
    DeleteCategoryProblems: ROLE, [NotFound, CategoryNotEmpty, StateConflict, StaleVersion],
}

/// List categories
///
/// All of the tree, by name; `parent_id` says where each is.
#[utoipa::path(get, path = "/categories", operation_id = "list_categories", tag = "categories",
    security((), ("bearer" = [])), params(PageQuery),
    responses((status = 200, description = "A page of categories.", body = CategoryPage,
        headers(("Link" = String, description = "The next page, `rel=\"next\"`; not on the last."))),
        ListCategoriesProblems))]
pub(crate) async fn list(
    State(gateway): State<Gateway>,
    OriginalUri(uri): OriginalUri,
    visitor: Visitor,
    UrlQuery(query): UrlQuery<PageQuery>,
) -> Result<Response, Problem> {
    let message = product::ListCategoriesRequest {
        limit: Limit::or_default(query.limit),
        cursor: Cursor::or_start(query.cursor),
    };
    let reply = gateway.categories().list_categories(visitor.request(message)).await?.into_inner();
    Ok(revalidate(page(&uri, CategoryPage::new(reply.categories, reply.next_cursor)?)))
}

/// Show a category
///
/// By id or slug.
#[utoipa::path(get, path = "/categories/{category}", operation_id = "get_category", tag = "categories",
    security((), ("bearer" = [])),
    params(("category" = String, Path, description = "The category's id or slug."),
        ("If-None-Match" = Option<String>, Header, description = "ETags of the versions the client has.")),
    responses(
        (status = 200, description = "The category.", body = Category,
            headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "The client has this version.", headers(("ETag" = String, description = "Its version."))),
        GetCategoryProblems))]
pub(crate) async fn get(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    UrlPath(key): UrlPath<SlugOrId>,
    _: NoQuery,
    held: IfNoneMatch,
) -> Result<Response, Problem> {
    let request = visitor.request(product::GetCategoryRequest::from(key));
    let reply = gateway.categories().get_category(request).await?.into_inner();
    let category: Category = required(reply.category, "category")?;
    Ok(revalidate(match held.held(&etag(category.version)) {
        Some(tag) => (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response(),
        None => versioned(category),
    }))
}

/// Add a category
///
/// For staff.
#[utoipa::path(post, path = "/categories", operation_id = "create_category", tag = "categories",
    security(("bearer" = [])), request_body = NewCategory,
    responses((status = 201, description = "The category.", body = Category,
        headers(("Location" = String, description = "The category's URL."), ("ETag" = String, description = "Its version."))),
        CreateCategoryProblems))]
pub(crate) async fn create(
    State(gateway): State<Gateway>,
    staff: Staff,
    _: NoQuery,
    JsonBody(new): JsonBody<NewCategory>,
) -> Result<Response, Problem> {
    let request = staff.request(product::CreateCategoryRequest::from(new));
    let reply = gateway.categories().create_category(request).await?.into_inner();
    let category: Category = required(reply.category, "category")?;
    let tag = etag(category.version);
    let mut response = created(&format!("/categories/{}", category.id), category);
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

/// Change a category
///
/// For staff. Renames it, or moves it with all that is below it; never below itself.
#[utoipa::path(patch, path = "/categories/{category}", operation_id = "update_category", tag = "categories",
    security(("bearer" = [])),
    params(("category" = Id, Path, description = "The category's id."),
        ("If-Match" = Option<String>, Header,
            description = "The ETag of the version that is changed; left out, it is whatever is there.",
            pattern = r#"^"[1-9][0-9]*(-(zstd|br|gzip))?"$"#)),
    request_body(content((CategoryPatch = "application/json"), (CategoryPatch = "application/merge-patch+json"))),
    responses((status = 200, description = "The category as it is now.", body = Category,
        headers(("ETag" = String, description = "Its new version."))), UpdateCategoryProblems))]
pub(crate) async fn update(
    State(gateway): State<Gateway>,
    staff: Staff,
    UrlPath(category_id): UrlPath<Id>,
    _: NoQuery,
    IfMatchIfAny(version): IfMatchIfAny,
    JsonBody(patch): JsonBody<CategoryPatch>,
) -> Result<Response, Problem> {
    let request = staff.request(patch.into_request(category_id, version)?);
    let reply = gateway.categories().update_category(request).await?.into_inner();
    Ok(versioned(required(reply.category, "category")?))
}

/// Drop a category
///
/// For staff. Only when nothing is below it, and no product in it.
#[utoipa::path(delete, path = "/categories/{category}", operation_id = "delete_category", tag = "categories",
    security(("bearer" = [])),
    params(("category" = Id, Path, description = "The category's id."),
        ("If-Match" = Option<String>, Header,
            description = "The ETag of the version that is dropped; left out, it is whatever is there.",
            pattern = r#"^"[1-9][0-9]*(-(zstd|br|gzip))?"$"#)),
    responses((status = 204, description = "The category is gone."), DeleteCategoryProblems))]
pub(crate) async fn delete(
    State(gateway): State<Gateway>,
    staff: Staff,
    UrlPath(category_id): UrlPath<Id>,
    _: NoQuery,
    IfMatchIfAny(expected_version): IfMatchIfAny,
) -> Result<StatusCode, Problem> {
    let message = product::DeleteCategoryRequest { category_id: category_id.into(), expected_version };
    gateway.categories().delete_category(staff.request(message)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn versioned(category: Category) -> Response {
    ([(header::ETAG, etag(category.version))], Json(category)).into_response()
}
