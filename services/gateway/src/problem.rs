//! Failures as clients see them: problem details (RFC 9457).
//!
//! A handler returns a [`Problem`]; the outermost layer ([`crate::edge`]) knows the request's path and trace and renders
//! it. Every failure of the gateway goes this one way, the framework's own rejections included.

use std::{borrow::Cow, collections::BTreeMap, error::Error, sync::Arc, time::Duration};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use shop_proto::status::{Reason, Refusal, Violation};

/// The content type of every failure.
pub(crate) const CONTENT_TYPE: &str = "application/problem+json";

/// What a client is told to wait when the one that refused gave no time of its own.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Set on the metadata of a refused order whose idempotency key had been used before; it becomes a header.
const REPLAYED: &str = "replayed";

/// A failed request.
#[derive(Debug)]
pub(crate) struct Problem {
    // Boxed: it travels in every result, and most succeed.
    refusal: Box<Refusal>,
    /// What happened, for the log only.
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    /// A problem for a reason, in words for the client.
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self::from(Refusal::new(reason, detail))
    }

    /// A request that can't be read at `pointer`: an RFC 6901 pointer into the body, or the bare name of a parameter or
    /// header.
    pub(crate) fn malformed(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::field(Reason::MalformedRequest, pointer, detail)
    }

    /// A request that can be read and breaks a rule of the interface at `pointer`.
    pub(crate) fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::from(Refusal::invalid_field(pointer, detail))
    }

    /// Our bug: the client learns that much, the log learns the cause.
    pub(crate) fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let refusal = Refusal::new(Reason::Internal, "It is logged under the trace id.");
        Self { refusal: Box::new(refusal), cause: Some(cause.into()) }
    }

    /// Why it failed.
    pub(crate) fn reason(&self) -> Reason {
        self.refusal.reason
    }

    /// Says when to try again.
    pub(crate) fn with_retry_after(mut self, delay: Duration) -> Self {
        self.refusal.retry_after = Some(delay);
        self
    }

    /// The same occurrence under another reason, with the time to wait kept.
    pub(crate) fn recast(self, reason: Reason, detail: impl Into<String>) -> Self {
        let retry_after = self.refusal.retry_after;
        let refusal = Refusal { retry_after, ..Refusal::new(reason, detail) };
        Self { refusal: Box::new(refusal), cause: self.cause }
    }

    fn field(reason: Reason, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let violation = Violation { pointer: pointer.into(), detail: detail.into() };
        let detail = match violation.pointer.as_str() {
            "" => violation.detail.clone(),
            pointer => format!("{pointer}: {}", violation.detail),
        };
        Self::from(Refusal { violations: vec![violation], ..Refusal::new(reason, detail) })
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.reason().http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Writes the problem into a response that may already carry headers, `Allow` for example.
    pub(crate) fn render(&self, mut response: Response, instance: &str, trace_id: Option<&str>) -> Response {
        self.log();
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, self.challenge());
        }
        if let Some(delay) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(delay)));
        }
        if matches!(self.status(), StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE) {
            // What was not read of the body is not the next request.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.refusal.metadata.get(REPLAYED).is_some_and(|replayed| replayed == "true") {
            headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
        }
        *response.body_mut() = Body::from(self.body(instance, trace_id));
        response
    }

    fn challenge(&self) -> HeaderValue {
        HeaderValue::from_static(match self.reason() {
            Reason::InvalidToken => r#"Bearer error="invalid_token""#,
            _ => "Bearer",
        })
    }

    fn retry_after(&self) -> Option<Duration> {
        match self.status() {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Some(self.refusal.retry_after.unwrap_or(DEFAULT_RETRY_AFTER))
            }
            _ => self.refusal.retry_after,
        }
    }

    fn body(&self, instance: &str, trace_id: Option<&str>) -> Vec<u8> {
        let refusal = &self.refusal;
        let document = Document {
            r#type: problem_type(refusal.reason),
            title: refusal.reason.title(),
            status: refusal.reason.http(),
            detail: &refusal.detail,
            instance,
            code: refusal.reason.code(),
            trace_id,
            errors: refusal.violations.iter().map(ErrorItem::from).collect(),
            metadata: refusal
                .metadata
                .iter()
                .filter(|(key, _)| !RESERVED.contains(&key.as_str()))
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect(),
        };
        // A struct of strings always serialises.
        serde_json::to_vec(&document).unwrap_or_default()
    }

    fn log(&self) {
        let code = self.reason().code();
        if self.reason() == Reason::Internal {
            let cause =
                self.cause.as_deref().map_or_else(|| Cow::Borrowed("an upstream's"), |cause| chain(cause).into());
            tracing::error!(error.code = code, error.cause = %cause, "request failed");
        } else if self.status().is_server_error() {
            tracing::warn!(error.code = code, "request failed");
        } else {
            tracing::debug!(error.code = code, "request refused");
        }
    }
}

/// Members of the document itself, and the fact that becomes a header.
const RESERVED: [&str; 9] = ["type", "title", "status", "detail", "instance", "code", "trace_id", "errors", REPLAYED];

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    code: &'static str,
    trace_id: Option<&'a str>,
    errors: Vec<ErrorItem<'a>>,
    #[serde(flatten)]
    metadata: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct ErrorItem<'a> {
    pointer: &'a str,
    detail: &'a str,
}

impl<'a> From<&'a Violation> for ErrorItem<'a> {
    fn from(violation: &'a Violation) -> Self {
        Self { pointer: &violation.pointer, detail: &violation.detail }
    }
}

/// `/problems/out-of-stock` for `OUT_OF_STOCK`.
pub(crate) fn problem_type(reason: Reason) -> String {
    format!("/problems/{}", reason.code().to_ascii_lowercase().replace('_', "-"))
}

/// `Retry-After` counts whole seconds; a client must not come back too early.
fn whole_seconds(delay: Duration) -> u64 {
    (delay.as_secs() + u64::from(delay.subsec_nanos() > 0)).max(1)
}

fn chain(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(error.source(), |error| (*error).source())
        .fold(error.to_string(), |chain, source| format!("{chain}: {source}"))
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self { refusal: Box::new(refusal), cause: None }
    }
}

/// A call that a service refused, or that did not reach it.
impl From<tonic::Status> for Problem {
    fn from(status: tonic::Status) -> Self {
        let refusal = Refusal::from_status(&status);
        let server_error = refusal.reason.http() >= 500;
        Self { refusal: Box::new(refusal), cause: server_error.then(|| status.into()) }
    }
}

/// Carries a problem from where it arose to the layer that renders it.
#[derive(Clone)]
pub(crate) struct Unrendered(pub(crate) Arc<Problem>);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = status.into_response();
        response.extensions_mut().insert(Unrendered(Arc::new(self)));
        response
    }
}

/// A failure that several requests share, since one call was made for all.
pub(crate) struct SharedProblem(Arc<Problem>);

impl From<Arc<Problem>> for SharedProblem {
    fn from(problem: Arc<Problem>) -> Self {
        Self(problem)
    }
}

impl IntoResponse for SharedProblem {
    fn into_response(self) -> Response {
        let mut response = self.0.status().into_response();
        response.extensions_mut().insert(Unrendered(self.0));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_kebab_case() {
        assert_eq!(problem_type(Reason::OutOfStock), "/problems/out-of-stock");
    }

    #[test]
    fn a_client_never_comes_back_too_early() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(2_001)), 3);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
    }

    #[test]
    fn facts_cannot_replace_members_of_the_document() {
        let refusal =
            Refusal::new(Reason::OutOfStock, "Gone.").with_metadata("status", "200").with_metadata("order_id", "1");
        let body = Problem::from(refusal).body("/api/v1/orders", Some("t"));
        let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(document["status"], 409);
        assert_eq!(document["order_id"], "1");
    }
}
