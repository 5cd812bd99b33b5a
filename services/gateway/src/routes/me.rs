//! One's own account.

use axum::{Json, extract::State};
use http::StatusCode;
use shop_proto::user;

use crate::{
    extract::{JsonBody, NoQuery, SignedIn},
    openapi::problems,
    problem::Problem,
    rest::{PasswordChange, ProfilePatch, User, required},
    state::Gateway,
};

problems! {
    GetMeProblems: SIGNED_IN, [NotFound],
    UpdateMeProblems: SIGNED_IN, BODY, [NotFound],
    DeleteMeProblems: SIGNED_IN, [NotFound, LastAdmin],
    ChangePasswordProblems: SIGNED_IN, BODY, [NotFound, WrongPassword, LoginThrottled],
}

/// Show my account
#[utoipa::path(get, path = "/users/me", operation_id = "get_me", tag = "account", security(("bearer" = [])),
    responses((status = 200, description = "The account.", body = User), GetMeProblems))]
pub(crate) async fn get(State(gateway): State<Gateway>, caller: SignedIn, _: NoQuery) -> Result<Json<User>, Problem> {
    let request = caller.request(user::GetUserRequest { user_id: caller.id() });
    let reply = gateway.users().get_user(request).await?.into_inner();
    Ok(Json(required(reply.user, "user")?))
}

/// Change my profile
#[utoipa::path(patch, path = "/users/me", operation_id = "update_me", tag = "account", security(("bearer" = [])),
    request_body(content((ProfilePatch = "application/json"), (ProfilePatch = "application/merge-patch+json"))),
    responses((status = 200, description = "The account as it is now.", body = User), UpdateMeProblems))]
pub(crate) async fn update(
    State(gateway): State<Gateway>,
    caller: SignedIn,
    _: NoQuery,
    JsonBody(patch): JsonBody<ProfilePatch>,
) -> Result<Json<User>, Problem> {
    let request = caller.request(patch.into_request(caller.id())?);
    let reply = gateway.users().update_profile(request).await?.into_inner();
    Ok(Json(required(reply.user, "user")?))
}

/// Delete my account
///
/// Anonymises the account and frees its e-mail. Orders keep the address they were placed with.
#[utoipa::path(delete, path = "/users/me", operation_id = "delete_me", tag = "account", security(("bearer" = [])),
    responses((status = 204, description = "The account is gone."), DeleteMeProblems))]
pub(crate) async fn delete(
    State(gateway): State<Gateway>,
    caller: SignedIn,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    gateway.users().delete_user(caller.request(user::DeleteUserRequest { user_id: caller.id() })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Change my password
///
/// Ends every other session.
#[utoipa::path(put, path = "/users/me/password", operation_id = "change_password", tag = "account",
    security(("bearer" = [])), request_body = PasswordChange,
    responses((status = 204, description = "The password is changed."), ChangePasswordProblems))]
pub(crate) async fn change_password(
    State(gateway): State<Gateway>,
    caller: SignedIn,
    _: NoQuery,
    JsonBody(change): JsonBody<PasswordChange>,
) -> Result<StatusCode, Problem> {
    gateway.users().change_password(caller.request(change.into_request(caller.id()))).await?;
    Ok(StatusCode::NO_CONTENT)
}
