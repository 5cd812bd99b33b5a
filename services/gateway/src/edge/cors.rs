//! Pages of other origins that may call the gateway from a browser (the Fetch standard's CORS protocol).
//!
//! Tokens travel in a header that pages set themselves, so that there are no credentials for a browser to add, and none are
//! allowed.

use std::collections::HashSet;

use axum::response::Response;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

/// What pages may send beyond what every page may.
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, traceparent, x-request-id",
);
/// What pages may read beyond what every page may.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static(
    "etag, idempotency-replayed, link, location, ratelimit, ratelimit-policy, retry-after, www-authenticate, x-request-id",
);
/// Seconds a browser need not ask again: a change of the settings has reached every page after that.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const ANY: &str = "*";

/// The origins whose pages may call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Cors {
    origins: HashSet<HeaderValue>,
    any: bool,
}

impl Cors {
    /// Origins as browsers write them, or `*` alone.
    pub(crate) fn new(origins: &[String]) -> Self {
        let any = origins.iter().any(|origin| origin == ANY);
        Self { origins: origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok()).collect(), any }
    }

    /// The answer to a preflight, if that is what the request is and the page may call.
    pub(crate) fn preflight(&self, method: &Method, headers: &HeaderMap, allow: HeaderValue) -> Option<Response> {
        let asks = method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || self.allowed(headers.get(header::ORIGIN)).is_none() {
            return None;
        }
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().extend([
            (header::ALLOW, allow.clone()),
            (header::ACCESS_CONTROL_ALLOW_METHODS, allow),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ]);
        Some(response)
    }

    /// Lets the page that asked read the answer, if it may.
    pub(crate) fn allow(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if self.any {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static(ANY));
        } else if self.origins.is_empty() {
            return;
        } else {
            // Caches must know that another page's answer is another.
            headers.append(header::VARY, HeaderValue::from_static("origin"));
            let Some(origin) = self.allowed(origin) else { return };
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    }

    fn allowed(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        let origin = origin?;
        (self.any || self.origins.contains(origin)).then(|| origin.clone())
    }
}
