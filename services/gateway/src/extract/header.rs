//! Header fields that calls depend on: preconditions (RFC 9110, section 13), idempotency keys, the webhook's signature.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use shop_proto::status::Reason;

use crate::problem::Problem;

/// The key under which a request has its effect once: 1 to 255 visible ASCII characters.
pub(crate) struct IdempotencyKey(pub String);

/// The version a change is based on, from `If-Match`.
pub(crate) struct IfMatch(pub i64);

/// The versions a client has, from `If-None-Match`.
pub(crate) struct IfNoneMatch {
    tags: Option<String>,
}

/// `X-Shop-Signature` as it came; empty when there is none. Whoever holds the secret judges it.
pub(crate) struct WebhookSignature(pub String);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        const NAME: &str = "Idempotency-Key";
        let value = only(&parts.headers, HeaderName::from_static("idempotency-key"), NAME)?
            .ok_or_else(|| Problem::invalid(NAME, "this header is required: a key of yours for this request"))?;
        match value.to_str() {
            Ok(key) if (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Self(key.to_owned()))
            }
            _ => Err(Problem::invalid(NAME, "must be 1 to 255 visible ASCII characters")),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        const NAME: &str = "If-Match";
        let value = only(&parts.headers, header::IF_MATCH, NAME)?.ok_or_else(|| {
            Problem::new(Reason::PreconditionRequired, "Send If-Match with the ETag of the version you are changing.")
        })?;
        let stale = || Problem::new(Reason::StaleVersion, "If-Match names no version of this resource.");
        let malformed = || Problem::malformed(NAME, "must be one ETag of this resource, such as \"3\"");
        let tag = value.to_str().map_err(|_| malformed())?.trim();
        // A weak tag never matches in the strong comparison that If-Match asks for.
        let (weak, tag) = tag.strip_prefix("W/").map_or((false, tag), |strong| (true, strong));
        let opaque = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).ok_or_else(malformed)?;
        if opaque.contains('"') {
            return Err(malformed());
        }
        match version(opaque) {
            Some(version) if !weak => Ok(Self(version)),
            _ => Err(stale()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let values = parts.headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let tags = values.collect::<Vec<_>>();
        Ok(Self { tags: (!tags.is_empty()).then(|| tags.join(",")) })
    }
}

impl IfNoneMatch {
    /// Whether the client has this version already: its tag is listed, or `*` is. The comparison is the weak one.
    pub(crate) fn has(&self, version: i64) -> bool {
        let Some(tags) = &self.tags else { return false };
        let tag = format!("\"{version}\"");
        tags.split(',').map(str::trim).any(|listed| listed == "*" || listed.strip_prefix("W/").unwrap_or(listed) == tag)
    }
}

impl<S: Sync> FromRequestParts<S> for WebhookSignature {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let value = parts.headers.get("x-shop-signature").and_then(|value| value.to_str().ok());
        Ok(Self(value.unwrap_or_default().to_owned()))
    }
}

/// The strong entity tag of a version.
pub(crate) fn etag(version: i64) -> HeaderValue {
    // Digits between quotes are a valid header value.
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"0\""))
}

fn version(opaque: &str) -> Option<i64> {
    opaque.parse().ok().filter(|version: &i64| version.to_string() == opaque)
}

fn only(headers: &HeaderMap, name: HeaderName, shown: &str) -> Result<Option<HeaderValue>, Problem> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().cloned();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(Problem::malformed(shown, "must be given once")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn if_match(value: &str) -> Result<i64, Reason> {
        let (mut parts, ()) = http::Request::builder().header("if-match", value).body(()).unwrap().into_parts();
        IfMatch::from_request_parts(&mut parts, &()).await.map(|tag| tag.0).map_err(|problem| problem.reason())
    }

    #[tokio::test]
    async fn only_a_strong_tag_of_ours_is_a_version() {
        assert_eq!(if_match("\"3\"").await, Ok(3));
        for malformed in ["3", "*", "", "\"3", "\"3\", \"4\"", "W/3"] {
            assert_eq!(if_match(malformed).await, Err(Reason::MalformedRequest), "{malformed}");
        }
        for stale in ["W/\"3\"", "\"abc\"", "\"03\"", "\"99999999999999999999\""] {
            assert_eq!(if_match(stale).await, Err(Reason::StaleVersion), "{stale}");
        }
    }

    #[test]
    fn any_listed_tag_counts_weak_or_strong() {
        let header = |tags: &str| IfNoneMatch { tags: Some(tags.to_owned()) };
        assert!(header("\"1\", W/\"7\"").has(7));
        assert!(header("*").has(7));
        assert!(!header("\"70\", 7").has(7));
        assert!(!IfNoneMatch { tags: None }.has(7));
    }
}
