//! Registration and sessions.

use axum::{Json, extract::State, response::Response};
use http::StatusCode;
use shop_proto::{status::Reason, user};
use tonic::metadata::{Ascii, MetadataValue};

use super::created;
use crate::{
    extract::{ClientAddress, JsonBody, NoQuery, Visitor},
    openapi::problems,
    problem::Problem,
    rest::{Credentials, NewUser, RefreshToken, Tokens, User, required},
    state::Gateway,
};

problems! {
    RegisterProblems: PUBLIC, BODY, [EmailTaken],
    LoginProblems: PUBLIC, BODY, [LoginFailed, LoginThrottled],
    RefreshProblems: PUBLIC, BODY, [InvalidRefreshToken],
    LogoutProblems: PUBLIC, BODY, [],
}

/// Register
///
/// Creates a customer's account.
#[utoipa::path(post, path = "/auth/register", operation_id = "register", tag = "auth", security(()),
    request_body = NewUser,
    responses((status = 201, description = "The account.", body = User,
        headers(("Location" = String, description = "The account's URL."))), RegisterProblems))]
pub(crate) async fn register(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    _: NoQuery,
    JsonBody(new): JsonBody<NewUser>,
) -> Result<Response, Problem> {
    let request = visitor.request(user::RegisterRequest::from(new));
    let reply = gateway.users().register(request).await?.into_inner();
    let user: User = required(reply.user, "user")?;
    Ok(created(&format!("/users/{}", user.id), user))
}

/// Log in
///
/// Opens a session. A wrong e-mail, a wrong password and a disabled account are answered alike.
#[utoipa::path(post, path = "/auth/login", operation_id = "login", tag = "auth", security(()),
    request_body = Credentials,
    responses((status = 200, description = "The session's first tokens.", body = Tokens), LoginProblems))]
pub(crate) async fn login(
    State(gateway): State<Gateway>,
    _: Visitor,
    _: NoQuery,
    ClientAddress(client): ClientAddress,
    JsonBody(Credentials { email, password }): JsonBody<Credentials>,
) -> Result<Json<Tokens>, Problem> {
    let message = user::LoginRequest { email, password, client_address: client.to_string() };
    let request = in_our_name(message, gateway.own_bearer("user")?);
    let reply = gateway.users().login(request).await.map_err(not_our_token)?.into_inner();
    Ok(Json(required(reply.tokens, "tokens")?))
}

/// Refresh
///
/// Trades a refresh token for new tokens. It is good for one use: used again after ten seconds, it ends the session.
#[utoipa::path(post, path = "/auth/refresh", operation_id = "refresh", tag = "auth", security(()),
    request_body = RefreshToken,
    responses((status = 200, description = "The session's next tokens.", body = Tokens), RefreshProblems))]
pub(crate) async fn refresh(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    _: NoQuery,
    JsonBody(token): JsonBody<RefreshToken>,
) -> Result<Json<Tokens>, Problem> {
    let request = visitor.request(user::RefreshRequest::from(token));
    let reply = gateway.users().refresh(request).await?.into_inner();
    Ok(Json(required(reply.tokens, "tokens")?))
}

/// Log out
///
/// Ends the session that a refresh token belongs to. An unknown token is no error.
#[utoipa::path(post, path = "/auth/logout", operation_id = "logout", tag = "auth", security(()),
    request_body = RefreshToken,
    responses((status = 204, description = "The session has ended."), LogoutProblems))]
pub(crate) async fn logout(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    _: NoQuery,
    JsonBody(token): JsonBody<RefreshToken>,
) -> Result<StatusCode, Problem> {
    gateway.users().logout(visitor.request(user::LogoutRequest::from(token))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A call with the gateway's own credential: only from it does the user service believe a client's address.
fn in_our_name<T>(message: T, bearer: MetadataValue<Ascii>) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("authorization", bearer);
    request
}

/// The client presented no token: one that is refused is ours.
fn not_our_token(status: tonic::Status) -> Problem {
    let problem = Problem::from(status);
    match problem.reason() {
        Reason::InvalidToken | Reason::Unauthenticated | Reason::Forbidden => {
            Problem::internal("the user service refused the gateway's own token")
        }
        _ => problem,
    }
}
