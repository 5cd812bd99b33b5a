//! Accounts, for admins.

use axum::{
    Json,
    extract::{OriginalUri, State},
    response::Response,
};
use shop_proto::user;

use super::page;
use crate::{
    extract::{Admin, JsonBody, NoQuery, UrlPath, UrlQuery},
    openapi::problems,
    problem::Problem,
    rest::{Cursor, Id, Limit, PageQuery, User, UserPage, UserPatch, required},
    state::Gateway,
};

problems! {
    ListUsersProblems: ROLE, LISTING, [],
    GetUserProblems: ROLE, [NotFound],
    UpdateUserProblems: ROLE, BODY, [NotFound, LastAdmin],
}

/// List accounts
///
/// Newest first. For admins.
#[utoipa::path(get, path = "/users", operation_id = "list_users", tag = "users", security(("bearer" = [])),
    params(PageQuery),
    responses((status = 200, description = "A page of accounts.", body = UserPage,
        headers(("Link" = String, description = "The next page, `rel=\"next\"`; not on the last."))), ListUsersProblems))]
pub(crate) async fn list(
    State(gateway): State<Gateway>,
    OriginalUri(uri): OriginalUri,
    admin: Admin,
    UrlQuery(query): UrlQuery<PageQuery>,
) -> Result<Response, Problem> {
    let message =
        user::ListUsersRequest { limit: Limit::or_default(query.limit), cursor: Cursor::or_start(query.cursor) };
    let reply = gateway.users().list_users(admin.request(message)).await?.into_inner();
    Ok(page(&uri, UserPage::new(reply.users, reply.next_cursor)?))
}

/// Show an account
///
/// For admins.
#[utoipa::path(get, path = "/users/{user_id}", operation_id = "get_user", tag = "users", security(("bearer" = [])),
    params(("user_id" = Id, Path, description = "The account's id.")),
    responses((status = 200, description = "The account.", body = User), GetUserProblems))]
pub(crate) async fn get(
    State(gateway): State<Gateway>,
    admin: Admin,
    UrlPath(user_id): UrlPath<Id>,
    _: NoQuery,
) -> Result<Json<User>, Problem> {
    let request = admin.request(user::GetUserRequest { user_id: user_id.into() });
    let reply = gateway.users().get_user(request).await?.into_inner();
    Ok(Json(required(reply.user, "user")?))
}

/// Set an account's role, or disable it
///
/// For admins. The last admin can't demote or disable itself.
#[utoipa::path(patch, path = "/users/{user_id}", operation_id = "update_user", tag = "users",
    security(("bearer" = [])), params(("user_id" = Id, Path, description = "The account's id.")),
    request_body(content((UserPatch = "application/json"), (UserPatch = "application/merge-patch+json"))),
    responses((status = 200, description = "The account as it is now.", body = User), UpdateUserProblems))]
pub(crate) async fn update(
    State(gateway): State<Gateway>,
    admin: Admin,
    UrlPath(user_id): UrlPath<Id>,
    _: NoQuery,
    JsonBody(patch): JsonBody<UserPatch>,
) -> Result<Json<User>, Problem> {
    let request = admin.request(patch.into_request(user_id)?);
    let reply = gateway.users().update_user(request).await?.into_inner();
    Ok(Json(required(reply.user, "user")?))
}
