//! The outermost layer: what holds for every request, whatever its route. It refuses what no handler should see, bounds
//! time and number, catches panics, and renders every failure as problem details.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt as _;
use http::{HeaderValue, Method, StatusCode, Version, header};
use http_body::Body as _;
use shop_proto::status::Reason;
use shop_server::{
    deadline::{self, Deadline},
    propagation,
};
use tokio::sync::Semaphore;

use crate::{
    openapi,
    problem::{self, Problem, Unrendered},
};

/// The largest header fields that are let in: the credential among them travels on in gRPC headers, which have bounds of
/// their own.
const MAX_HEADER_BYTES: usize = 8 * 1024;

/// What the services get a request's whole time for; then the gateway still has to hear and pass on their answer.
const GRACE: Duration = Duration::from_millis(500);

/// The bounds of the gateway.
pub(crate) struct Edge {
    permits: Semaphore,
    request_timeout: Duration,
}

impl Edge {
    pub(crate) fn new(max_in_flight: usize, request_timeout: Duration) -> Self {
        Self { permits: Semaphore::new(max_in_flight.min(Semaphore::MAX_PERMITS)), request_timeout }
    }
}

/// Answers a request, come what may.
pub(crate) async fn guard(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = admit(&edge, request, next).await.unwrap_or_else(Problem::into_response);
    finish(&method, uri.path(), response)
}

async fn admit(edge: &Edge, request: Request, next: Next) -> Result<Response, Problem> {
    readable(&request)?;
    let _permit = edge
        .permits
        .try_acquire()
        .map_err(|_| Problem::new(Reason::Overloaded, "More requests are being worked on than the gateway takes."))?;
    let deadline = Deadline::after(edge.request_timeout);
    let handled = deadline::scope(deadline, AssertUnwindSafe(next.run(request)).catch_unwind());
    match tokio::time::timeout_at(deadline.moment() + GRACE, handled).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(panic)) => Err(Problem::internal(panic_message(panic.as_ref()))),
        Err(_) => Err(Problem::new(Reason::DeadlineExceeded, "The request was not answered in time.")),
    }
}

/// Refuses URLs that are not text, since frameworks decode them each in their own lenient way, oversized headers, and what
/// names no host or several (RFC 9112, section 3.2), since a proxy may have read the other one.
fn readable(request: &Request) -> Result<(), Problem> {
    let uri = request.uri();
    for (part, name) in [(uri.path(), "path"), (uri.query().unwrap_or_default(), "query")] {
        if !is_text(part) {
            let detail = format!("The {name} must be percent-encoded UTF-8 without NUL.");
            return Err(Problem::new(Reason::MalformedRequest, detail));
        }
    }
    let size: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > MAX_HEADER_BYTES {
        let detail = format!("The header fields may have at most {MAX_HEADER_BYTES} bytes in all.");
        return Err(Problem::new(Reason::HeadersTooLarge, detail));
    }
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 || hosts == 0 && request.version() == Version::HTTP_11 {
        return Err(Problem::malformed("Host", "must be given once"));
    }
    Ok(())
}

fn is_text(encoded: &str) -> bool {
    if !encoded.contains('%') {
        return true;
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return false };
        // Two hexadecimal digits fit a byte.
        decoded.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    !decoded.contains(&0) && std::str::from_utf8(&decoded).is_ok()
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a handler panicked: {}", message.unwrap_or("no message"))
}

fn finish(method: &Method, path: &str, mut response: Response) -> Response {
    let problem = response.extensions_mut().remove::<Unrendered>().map(|unrendered| unrendered.0);
    let problem = problem.or_else(|| foreign_failure(&response).map(Arc::new));
    if let Some(problem) = problem {
        response = problem.render(response, path, propagation::current_trace_id().as_deref());
    }
    let headers = response.headers_mut();
    // What anyone may see and keep says so itself.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if method == Method::HEAD { without_body(response) } else { response }
}

/// A failure that is no problem yet: a component of the framework made it.
fn foreign_failure(response: &Response) -> Option<Problem> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let content_type = response.headers().get(header::CONTENT_TYPE);
    if content_type.is_some_and(|value| value.as_bytes() == problem::CONTENT_TYPE.as_bytes()) {
        return None;
    }
    Some(match status {
        StatusCode::NOT_FOUND => Problem::new(Reason::NotFound, "There is nothing at this URL."),
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Reason::BodyTooLarge, "The body is too large."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(Reason::UnsupportedMediaType, "Send JSON."),
        status if status.is_client_error() => Problem::new(Reason::MalformedRequest, "The request can't be read."),
        status => Problem::internal(format!("the framework answered {status}")),
    })
}

fn without_body(mut response: Response) -> Response {
    if let Some(length) = response.body().size_hint().exact().filter(|length| *length > 0) {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    *response.body_mut() = Body::empty();
    response
}

/// No route.
pub(crate) async fn not_found() -> Problem {
    Problem::new(Reason::NotFound, "There is nothing at this URL.")
}

/// A route, and not this method of it.
pub(crate) async fn other_method(method: Method, route: MatchedPath) -> Response {
    let mut response = if method == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        Problem::new(Reason::MethodNotAllowed, "The header Allow names the methods of this URL.").into_response()
    };
    response.headers_mut().insert(header::ALLOW, openapi::allow(route.as_str()));
    response
}

#[cfg(test)]
mod tests {
    use axum::{Router, routing};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_problem_and_the_next_request_is_served() {
        let edge = Arc::new(Edge::new(1, Duration::from_secs(10)));
        let panics = || async { assert!(std::hint::black_box(false), "the secret is 42") };
        let router = Router::new()
            .route("/panics", routing::get(panics))
            .route("/works", routing::get(|| async { "fine" }))
            .layer(axum::middleware::from_fn_with_state(edge, guard));
        let get = |path: &str| {
            router.clone().oneshot(Request::get(path).header("host", "shop.test").body(Body::empty()).unwrap())
        };
        let response = get("/panics").await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&problem["code"], &problem["instance"]), (&"INTERNAL".into(), &"/panics".into()));
        assert!(!problem.to_string().contains("secret"));
        assert_eq!(get("/works").await.unwrap().status(), StatusCode::OK);
    }

    #[test]
    fn urls_are_percent_encoded_text() {
        for text in ["/api/v1/products/blue-mug", "/caf%C3%A9", "a=b%20c"] {
            assert!(is_text(text), "{text}");
        }
        for other in ["/a%00b", "/%FF", "/%C3", "/%zz", "/%2", "/%"] {
            assert!(!is_text(other), "{other}");
        }
    }
}
