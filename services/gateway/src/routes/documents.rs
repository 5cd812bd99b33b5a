//! What describes the interface: its OpenAPI document, a page to read it with, and the public keys of its tokens.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use aws_lc_rs::digest;
use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
    routing,
};
use http::{HeaderValue, StatusCode, header};
use parking_lot::RwLock;
use shop_proto::status::Reason;
use utoipa_swagger_ui::Config;

use super::{revalidate, tagged};
use crate::{
    edge::Forms,
    extract::{IfNoneMatch, NoQuery},
    openapi::{self, problems},
    problem::Problem,
    state::Gateway,
};

problems! {
    DocumentProblems: ANY, [],
}

/// A text that is the same for as long as the process runs.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    bytes: Bytes,
    tag: HeaderValue,
    content_type: HeaderValue,
    forms: Forms,
}

impl Document {
    pub(crate) fn new(bytes: Bytes, content_type: HeaderValue) -> Self {
        let digest = digest::digest(&digest::SHA256, &bytes);
        // Hexadecimal digits between quotes are a valid value.
        let tag = format!("\"{}\"", hex::encode(digest.as_ref().split_at(16).0));
        let tag = HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"0\""));
        Self { bytes, tag, content_type, forms: Forms::default() }
    }

    /// The text, unless the client has it.
    pub(crate) fn answer(&self, held: &IfNoneMatch) -> Response {
        if let Some(tag) = held.held(&self.tag) {
            return revalidate((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
        }
        let mut response = tagged(self.bytes.clone(), self.content_type.clone(), self.tag.clone());
        response.extensions_mut().insert(self.forms.clone());
        response
    }
}

static DOCUMENT: LazyLock<Document> =
    LazyLock::new(|| Document::new(openapi::text().into(), HeaderValue::from_static("application/json")));

/// Show this document
#[utoipa::path(get, path = "/openapi.json", operation_id = "get_openapi", tag = "documents", security(()),
    params(("If-None-Match" = Option<String>, Header, description = "ETags of the versions the client has.")),
    responses((status = 200, description = "The OpenAPI document.", body = Object, content_type = "application/json",
            headers(("ETag" = String, description = "Its version.")),
            example = json!({"openapi": "3.1.0", "info": {"title": "Shop", "version": "0.1.0"}, "paths": {}})),
        (status = 304, description = "The client has it.", headers(("ETag" = String, description = "Its version."))),
        DocumentProblems))]
pub(crate) async fn openapi(_: NoQuery, held: IfNoneMatch) -> Response {
    DOCUMENT.answer(&held)
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
        .route("/docs/", routing::get(|held: IfNoneMatch| async move { docs_file("", &held) }))
        .route(
            "/docs/{*file}",
            routing::get(|Path(file): Path<String>, held: IfNoneMatch| async move { docs_file(&file, &held) }),
        )
}

/// What the page is made of comes from here, and it calls nobody else. Its styles set themselves on elements.
const DOCS_CONTENT: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

static DOCS_CONFIG: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("/openapi.json").validator_url("none")));

/// The page's files that were asked for, by name: as many as there are.
static DOCS_FILES: LazyLock<RwLock<HashMap<String, Document>>> = LazyLock::new(RwLock::default);

fn docs_file(name: &str, held: &IfNoneMatch) -> Result<Response, Problem> {
    let known = DOCS_FILES.read().get(name).cloned();
    let file = if let Some(file) = known {
        file
    } else {
        let file = load_docs_file(name)?;
        DOCS_FILES.write().insert(name.to_owned(), file.clone());
        file
    };
    let mut response = file.answer(held);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, DOCS_CONTENT);
    Ok(response)
}

fn load_docs_file(name: &str) -> Result<Document, Problem> {
    let found =
        utoipa_swagger_ui::serve(name, DOCS_CONFIG.clone()).map_err(|error| Problem::internal(error.to_string()))?;
    let file = found.ok_or_else(|| Problem::new(Reason::NotFound, "There is nothing at this URL."))?;
    let content_type = HeaderValue::try_from(file.content_type).map_err(Problem::internal)?;
    Ok(Document::new(Bytes::from_owner(file.bytes), content_type))
}
