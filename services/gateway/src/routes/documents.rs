//! What describes the interface: its OpenAPI document, a page to read it with, and the public keys of its tokens.

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
    routing,
};
use http::{HeaderValue, header};
use shop_proto::status::Reason;
use utoipa_swagger_ui::Config;

use super::revalidate;
use crate::{
    extract::NoQuery,
    openapi::{self, problems},
    problem::Problem,
    state::Gateway,
};

problems! {
    DocumentProblems: ANY, [],
}

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| openapi::text().into());

/// Show this document
#[utoipa::path(get, path = "/openapi.json", operation_id = "get_openapi", tag = "documents", security(()),
    responses((status = 200, description = "The OpenAPI document.", body = Object, content_type = "application/json"),
        DocumentProblems))]
pub(crate) async fn openapi(_: NoQuery) -> Response {
    revalidate(([(header::CONTENT_TYPE, "application/json")], DOCUMENT.clone()).into_response())
}

/// Show the public keys of access tokens
///
/// A JSON Web Key Set (RFC 7517). A new key is there five minutes before it signs.
#[utoipa::path(get, path = "/.well-known/jwks.json", operation_id = "get_jwks", tag = "documents", security(()),
    responses((status = 200, description = "The key set.", body = Object, content_type = "application/jwk-set+json",
        example = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k1", "x": "11qYAY..."}]})),
        DocumentProblems))]
pub(crate) async fn jwks(State(gateway): State<Gateway>, _: NoQuery) -> Response {
    let mut response = ([(header::CONTENT_TYPE, "application/jwk-set+json")], gateway.jwks()).into_response();
    // Below the five minutes that a key is known before it is used.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    response
}

/// Swagger UI, from within the binary.
pub(crate) fn docs() -> Router<Gateway> {
    Router::new()
        .route("/docs", routing::get(|| async { Redirect::permanent("/docs/") }))
        .route("/docs/", routing::get(|| async { docs_file("") }))
        .route("/docs/{*file}", routing::get(|Path(file): Path<String>| async move { docs_file(&file) }))
}

static DOCS_CONFIG: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("/openapi.json").validator_url("none")));

fn docs_file(file: &str) -> Result<Response, Problem> {
    let found =
        utoipa_swagger_ui::serve(file, DOCS_CONFIG.clone()).map_err(|error| Problem::internal(error.to_string()))?;
    let file = found.ok_or_else(|| Problem::new(Reason::NotFound, "There is nothing at this URL."))?;
    let mut response = ([(header::CONTENT_TYPE, file.content_type)], file.bytes.into_owned()).into_response();
    if file.gzpipped {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(revalidate(response))
}
