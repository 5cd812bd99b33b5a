//! One's own addresses.

use axum::{
    Json,
    extract::{OriginalUri, State},
    response::Response,
};
use http::StatusCode;
use shop_proto::user;

use super::{created, page};
use crate::{
    extract::{JsonBody, NoQuery, SignedIn, UrlPath, UrlQuery},
    openapi::problems,
    problem::Problem,
    rest::{Address, AddressPage, AddressPatch, Cursor, Id, Limit, NewAddress, PageQuery, required},
    state::Gateway,
};

problems! {
    ListAddressesProblems: SIGNED_IN, LISTING, [],
    CreateAddressProblems: SIGNED_IN, BODY, [NotFound, StateConflict],
    UpdateAddressProblems: SIGNED_IN, BODY, [NotFound],
    DeleteAddressProblems: SIGNED_IN, [NotFound],
}

/// List my addresses
///
/// Newest first.
#[utoipa::path(get, path = "/users/me/addresses", operation_id = "list_addresses", tag = "account",
    security(("bearer" = [])), params(PageQuery),
    responses((status = 200, description = "A page of addresses.", body = AddressPage,
        headers(("Link" = String, description = "The next page, `rel=\"next\"`; not on the last."))), ListAddressesProblems))]
pub(crate) async fn list(
    State(gateway): State<Gateway>,
    OriginalUri(uri): OriginalUri,
    caller: SignedIn,
    UrlQuery(query): UrlQuery<PageQuery>,
) -> Result<Response, Problem> {
    let request = caller.request(user::ListAddressesRequest {
        user_id: caller.id(),
        limit: Limit::or_default(query.limit),
        cursor: Cursor::or_start(query.cursor),
    });
    let reply = gateway.users().list_addresses(request).await?.into_inner();
    Ok(page(&uri, AddressPage::new(reply.addresses, reply.next_cursor)?))
}

/// Keep an address
#[utoipa::path(post, path = "/users/me/addresses", operation_id = "create_address", tag = "account",
    security(("bearer" = [])), request_body = NewAddress,
    responses((status = 201, description = "The address.", body = Address,
        headers(("Location" = String, description = "The address's URL."))), CreateAddressProblems))]
pub(crate) async fn create(
    State(gateway): State<Gateway>,
    caller: SignedIn,
    _: NoQuery,
    JsonBody(new): JsonBody<NewAddress>,
) -> Result<Response, Problem> {
    let request = caller.request(new.into_request(caller.id()));
    let reply = gateway.users().create_address(request).await?.into_inner();
    let address: Address = required(reply.address, "address")?;
    Ok(created(&format!("/users/me/addresses/{}", address.id), address))
}

/// Change an address
#[utoipa::path(patch, path = "/users/me/addresses/{address_id}", operation_id = "update_address", tag = "account",
    security(("bearer" = [])), params(("address_id" = Id, Path, description = "The address's id.")),
    request_body(content((AddressPatch = "application/json"), (AddressPatch = "application/merge-patch+json"))),
    responses((status = 200, description = "The address as it is now.", body = Address), UpdateAddressProblems))]
pub(crate) async fn update(
    State(gateway): State<Gateway>,
    caller: SignedIn,
    UrlPath(address_id): UrlPath<Id>,
    _: NoQuery,
    JsonBody(patch): JsonBody<AddressPatch>,
) -> Result<Json<Address>, Problem> {
    let request = caller.request(patch.into_request(caller.id(), address_id)?);
    let reply = gateway.users().update_address(request).await?.into_inner();
    Ok(Json(required(reply.address, "address")?))
}

/// Drop an address
#[utoipa::path(delete, path = "/users/me/addresses/{address_id}", operation_id = "delete_address", tag = "account",
    security(("bearer" = [])), params(("address_id" = Id, Path, description = "The address's id.")),
    responses((status = 204, description = "The address is gone."), DeleteAddressProblems))]
pub(crate) async fn delete(
    State(gateway): State<Gateway>,
    caller: SignedIn,
    UrlPath(address_id): UrlPath<Id>,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    let message = user::DeleteAddressRequest { user_id: caller.id(), address_id: address_id.into() };
    gateway.users().delete_address(caller.request(message)).await?;
    Ok(StatusCode::NO_CONTENT)
}
