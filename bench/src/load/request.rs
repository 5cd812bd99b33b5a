//! Requests of the shop's REST interface, and what their answers say.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::Value;

use super::connections::{Incomer, Loss, Outgoing};

const API: &str = "/api/v1";
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

impl Outgoing {
    /// A read of a path below the API's root.
    pub(crate) fn get(path: &str) -> Self {
        Self::get_link(format!("{API}{path}"))
    }

    /// A read of a path that the shop itself named, such as the next page's.
    pub(crate) fn get_link(path: String) -> Self {
        Self { method: Method::GET, path, headers: HeaderMap::new(), body: Bytes::new() }
    }

    pub(crate) fn post(path: &str, body: &Value) -> Self {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let path = format!("{API}{path}");
        Self { method: Method::POST, path, headers, body: body.to_string().into() }
    }

    pub(crate) fn by(mut self, bearer: Option<HeaderValue>) -> Self {
        if let Some(bearer) = bearer {
            self.headers.insert(header::AUTHORIZATION, bearer);
        }
        self
    }

    pub(crate) fn unless_held(mut self, etag: Option<HeaderValue>) -> Self {
        if let Some(etag) = etag {
            self.headers.insert(header::IF_NONE_MATCH, etag);
        }
        self
    }

    /// Under a new idempotency key.
    pub(crate) fn keyed(mut self) -> Self {
        let key = uuid::Uuid::new_v4().to_string();
        // A UUID has no character that a header could not have.
        self.headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(&key).unwrap_or(HeaderValue::from_static("")));
        self
    }
}

impl Incomer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The problem's code; empty for an answer that is none.
    pub(crate) fn code(&self) -> String {
        if self.status.is_client_error() || self.status.is_server_error() {
            self.json()["code"].as_str().unwrap_or_default().to_owned()
        } else {
            String::new()
        }
    }

    /// How long it asks to wait before the next try.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// Path and query of the next page.
    pub(crate) fn next_page(&self) -> Option<String> {
        let link = self.headers.get(header::LINK)?.to_str().ok()?;
        let (target, relation) = link.strip_prefix('<')?.split_once('>')?;
        relation.contains("rel=\"next\"").then(|| target.to_owned())
    }
}

impl Loss {
    /// As it stands in a report beside the problems' codes.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Late => "NOT_SENT_IN_TIME",
            Self::Refused => "CONNECTION_REFUSED",
            Self::Broken => "CONNECTION_BROKEN",
            Self::TimedOut => "TIMED_OUT",
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn the_next_page_is_read_from_the_link() {
        let with = |link: &'static str| Incomer {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(header::LINK, HeaderValue::from_static(link))]),
            body: Bytes::new(),
        };
        let next = with("</api/v1/products?cursor=a%2Fb>; rel=\"next\"").next_page();
        assert_eq!(next.as_deref(), Some("/api/v1/products?cursor=a%2Fb"));
        assert_eq!(with("</elsewhere>; rel=\"prev\"").next_page(), None);
    }
}
