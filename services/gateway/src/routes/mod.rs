//! The handlers, by resource: each extracts, converts, calls a service, converts.

pub(crate) mod addresses;
pub(crate) mod auth;
pub(crate) mod categories;
pub(crate) mod documents;
pub(crate) mod events;
pub(crate) mod inventory;
pub(crate) mod me;
pub(crate) mod orders;
pub(crate) mod payments;
pub(crate) mod problem_types;
pub(crate) mod products;
pub(crate) mod users;
pub(crate) mod webhooks;

use axum::{
    Json,
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use serde::Serialize;

use crate::{extract, rest::Page};

/// Where the interface lives.
pub(crate) const PREFIX: &str = "/api/v1";

/// Fields of an answer when the layers have added theirs: a map that has to grow is made anew.
const USUAL_HEADERS: usize = 12;

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// 201 with the URL of what was made.
fn created<T: Serialize>(path: &str, body: T) -> Response {
    let location = HeaderValue::try_from(format!("{PREFIX}{path}"));
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    // A path of the interface is visible ASCII.
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Marks the answer to a request whose idempotency key had been used before.
fn mark_replayed(mut response: Response, replayed: bool) -> Response {
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// A page, with the URL of the next in `Link` (RFC 8288): this request's with another cursor.
fn page<T: Serialize>(uri: &Uri, page: Page<T>) -> Response {
    let next = page.next_cursor.as_ref().and_then(|cursor| {
        let mut pairs = extract::pairs(uri.query().unwrap_or_default());
        pairs.retain(|(name, _)| name != "cursor");
        pairs.push(("cursor".to_owned(), cursor.clone()));
        let query = serde_urlencoded::to_string(pairs).ok()?;
        HeaderValue::try_from(format!("<{}?{query}>; rel=\"next\"", uri.path())).ok()
    });
    let mut response = Json(page).into_response();
    if let Some(next) = next {
        response.headers_mut().insert(header::LINK, next);
    }
    response
}

/// A body with its tag, which caches may keep and ask for again each time.
fn tagged(bytes: Bytes, content_type: HeaderValue, tag: HeaderValue) -> Response {
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.reserve(USUAL_HEADERS);
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::ETAG, tag);
    revalidate(response)
}

/// Lets caches keep what anyone may see, and ask each time whether it is still so.
fn revalidate(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
