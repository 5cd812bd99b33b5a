//! Header fields that calls depend on: preconditions (RFC 9110, section 13), idempotency keys, the webhook's signature.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use shop_proto::status::Reason;

use crate::{edge::without_coding, problem::Problem};

/// The key under which a request has its effect once: 1 to 255 visible ASCII characters.
pub(crate) struct IdempotencyKey(pub String);

/// The version a change is based on, from `If-Match`.
pub(crate) struct IfMatch(pub i64);

/// [`IfMatch`], where a change may also be based on whatever is there.
pub(crate) struct IfMatchIfAny(pub Option<i64>);

/// The last version that a reader of an event stream has, from `Last-Event-ID`.
pub(crate) struct LastEventId(pub Option<i64>);

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
        let version = if_match(&parts.headers)?.ok_or_else(|| {
            Problem::new(Reason::PreconditionRequired, "Send If-Match with the ETag of the version you are changing.")
        })?;
        Ok(Self(version))
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatchIfAny {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if_match(&parts.headers).map(Self)
    }
}

fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    const NAME: &str = "If-Match";
    let Some(value) = only(headers, header::IF_MATCH, NAME)? else { return Ok(None) };
    let malformed = || Problem::malformed(NAME, "must be one ETag of this resource, such as \"3\"");
    let tag = value.to_str().map_err(|_| malformed())?.trim();
    // A weak tag never matches in the strong comparison that If-Match asks for.
    let (weak, tag) = tag.strip_prefix("W/").map_or((false, tag), |strong| (true, strong));
    let opaque = opaque(tag).filter(|opaque| !opaque.contains('"')).ok_or_else(malformed)?;
    match version(without_coding(opaque)) {
        Some(version) if !weak => Ok(Some(version)),
        _ => Err(Problem::new(Reason::StaleVersion, "If-Match names no version of this resource.")),
    }
}

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        const NAME: &str = "Last-Event-ID";
        let value = only(&parts.headers, HeaderName::from_static("last-event-id"), NAME)?;
        // Browsers send an empty one when the last event had none.
        let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(Self(None)) };
        let id = value.to_str().ok().and_then(version).filter(|id| *id >= 0);
        let id = id.ok_or_else(|| Problem::malformed(NAME, "must be the id of an event of this stream"))?;
        Ok(Self(Some(id)))
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
    /// The tag under which the client has what is tagged `current` already: it is listed, in whatever coding it was sent, or
    /// `*` is. The comparison is the weak one. An answer that names another tag than the client's would be of no use to it
    /// (RFC 9111, section 4.3.4).
    pub(crate) fn held(&self, current: &HeaderValue) -> Option<HeaderValue> {
        let current_opaque = opaque(current.to_str().ok()?)?;
        let tags = self.tags.as_ref()?;
        tags.split(',').map(str::trim).find_map(|listed| {
            if listed == "*" {
                return Some(current.clone());
            }
            let strong = listed.strip_prefix("W/").unwrap_or(listed);
            let same = without_coding(opaque(strong)?) == current_opaque;
            same.then(|| HeaderValue::try_from(strong).ok()).flatten()
        })
    }
}

/// What is between the quotes of a strong tag.
fn opaque(tag: &str) -> Option<&str> {
    tag.strip_prefix('"')?.strip_suffix('"')
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
        for tag in ["\"3\"", "\"3-gzip\"", "\"3-br\"", "\"3-zstd\""] {
            assert_eq!(if_match(tag).await, Ok(3), "{tag}");
        }
        for malformed in ["3", "*", "", "\"3", "\"3\", \"4\"", "W/3"] {
            assert_eq!(if_match(malformed).await, Err(Reason::MalformedRequest), "{malformed}");
        }
        for stale in ["W/\"3\"", "\"3-lzma\"", "\"abc\"", "\"03\"", "\"99999999999999999999\""] {
            assert_eq!(if_match(stale).await, Err(Reason::StaleVersion), "{stale}");
        }
    }

    #[test]
    fn any_listed_tag_counts_weak_or_strong() {
        let held = |tags: &str| IfNoneMatch { tags: Some(tags.to_owned()) }.held(&etag(7));
        assert_eq!(held("\"1\", W/\"7\"").unwrap(), "\"7\"");
        assert_eq!(held("*").unwrap(), "\"7\"");
        assert_eq!(held("\"7-br\"").unwrap(), "\"7-br\"");
        for other in ["\"70\", 7", "\"7-deflate\"", "", "\"\"", "W/7"] {
            assert_eq!(held(other), None, "{other}");
        }
        assert_eq!(IfNoneMatch { tags: None }.held(&etag(7)), None);
    }
}
