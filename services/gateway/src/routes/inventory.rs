//! Stock: what anyone may know, and the ledger that staff keep.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use shop_proto::{product, status::Reason};

use super::{mark_replayed, revalidate};
use crate::{
    extract::{IdempotencyKey, JsonBody, NoQuery, Staff, UrlPath, Visitor},
    openapi::problems,
    problem::Problem,
    rest::{Adjustment, Availability, Id, Inventory, NewAdjustment, required},
    state::Gateway,
};

problems! {
    GetAvailabilityProblems: PUBLIC, [NotFound],
    GetInventoryProblems: ROLE, [NotFound],
    AdjustInventoryProblems: ROLE, BODY, [NotFound, InsufficientStock, IdempotencyKeyReused],
}

/// Show how many can be bought
#[utoipa::path(get, path = "/products/{product}/availability", operation_id = "get_availability", tag = "inventory",
    security((), ("bearer" = [])), params(("product" = Id, Path, description = "The product's id.")),
    responses((status = 200, description = "How many can be bought now.", body = Availability), GetAvailabilityProblems))]
pub(crate) async fn availability(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    UrlPath(product_id): UrlPath<Id>,
    _: NoQuery,
) -> Result<Response, Problem> {
    let request = visitor.request(product::GetAvailabilityRequest { product_ids: vec![product_id.into()] });
    let reply = gateway.products().get_availability(request).await?.into_inner();
    // The contract leaves unknown products out.
    let found = reply.availabilities.into_iter().next();
    let found = found.ok_or_else(|| Problem::new(Reason::NotFound, "There is no such product."))?;
    Ok(revalidate(Json(Availability::try_from(found)?).into_response()))
}

/// Show the stock
///
/// For staff.
#[utoipa::path(get, path = "/products/{product}/inventory", operation_id = "get_inventory", tag = "inventory",
    security(("bearer" = [])), params(("product" = Id, Path, description = "The product's id.")),
    responses((status = 200, description = "The stock.", body = Inventory), GetInventoryProblems))]
pub(crate) async fn get(
    State(gateway): State<Gateway>,
    staff: Staff,
    UrlPath(product_id): UrlPath<Id>,
    _: NoQuery,
) -> Result<Json<Inventory>, Problem> {
    let request = staff.request(product::GetInventoryRequest { product_id: product_id.into() });
    let reply = gateway.products().get_inventory(request).await?.into_inner();
    Ok(Json(required(reply.inventory, "inventory")?))
}

/// Adjust the stock
///
/// For staff. Adds to what is on hand, or takes away, once for the key; never below what is reserved.
#[utoipa::path(post, path = "/products/{product}/inventory/adjustments", operation_id = "adjust_inventory",
    tag = "inventory", security(("bearer" = [])),
    params(("product" = Id, Path, description = "The product's id."),
        ("Idempotency-Key" = String, Header, description = "The client's own key for this request.",
            min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body = NewAdjustment,
    responses((status = 201, description = "The ledger's entry.", body = Adjustment,
        headers(("Idempotency-Replayed" = bool, description = "There when the key had been used and nothing changed now."))),
        AdjustInventoryProblems))]
pub(crate) async fn adjust(
    State(gateway): State<Gateway>,
    staff: Staff,
    UrlPath(product_id): UrlPath<Id>,
    _: NoQuery,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(new): JsonBody<NewAdjustment>,
) -> Result<Response, Problem> {
    let request = staff.request(new.into_request(product_id, key));
    let reply = gateway.products().adjust_inventory(request).await?.into_inner();
    let adjustment: Adjustment = required(reply.adjustment, "adjustment")?;
    Ok(mark_replayed((StatusCode::CREATED, Json(adjustment)).into_response(), reply.replayed))
}
