//! What every answer gets on its way out: a problem's document, the headers that hold for all, the coding the client takes.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    body::Body,
    extract::{MatchedPath, Request},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use shop_proto::status::Reason;
use shop_server::propagation;

use super::{
    Policy,
    encoding::{self, Coding, Forms},
    origin::Origin,
    places,
    policy::{GENERAL, SIGN_IN},
    rates::Left,
    visit::Visit,
};
use crate::{
    openapi,
    problem::{self, Problem, Unrendered},
};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What is no page loads nothing and is framed nowhere.
const NO_CONTENT_OF_ITS_OWN: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// Two years, as the lists that browsers come with ask for (hstspreload.org).
const ALWAYS_HTTPS: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// What is known of a request when it is answered.
pub(super) struct Answering {
    pub(super) policy: Arc<Policy>,
    pub(super) origin: Origin,
    /// What is left of the general bucket and of the one for signing in, where they were asked.
    pub(super) left: [Option<Left>; 2],
    /// The value of `RateLimit-Policy`.
    pub(super) policy_told: HeaderValue,
    method: Method,
    uri: Uri,
    /// `Origin`, that is the page that asks.
    page: Option<HeaderValue>,
    coding: Option<Coding>,
}

impl Answering {
    pub(super) fn new(request: &Request, origin: Origin, policy: Arc<Policy>) -> Self {
        let headers = request.headers();
        Self {
            origin,
            left: [None; 2],
            policy_told: policy.general.told.clone(),
            policy,
            method: request.method().clone(),
            uri: request.uri().clone(),
            page: headers.get(header::ORIGIN).cloned(),
            coding: Coding::preferred(headers),
        }
    }

    /// The answer where a request came from nowhere, which none does.
    pub(super) fn nowhere() -> Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }

    /// The answer as it leaves. Large ones keep a part of the visit until they are sent.
    pub(super) async fn finish(self, mut response: Response, visit: Option<&Visit>) -> Response {
        let problem = response.extensions_mut().remove::<Unrendered>().map(|unrendered| unrendered.0);
        if let Some(problem) = problem.or_else(|| foreign_failure(&response).map(Arc::new)) {
            response = self.render(&problem, response);
        }
        let varies = response.status() == StatusCode::NOT_MODIFIED || encoding::is_text(response.headers());
        if varies {
            response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        if let Some(length) = response.body().size_hint().exact().filter(|length| *length > 0) {
            let coding = self.coding.filter(|_| varies);
            if coding.is_some() || places::is_large(length) {
                response = self.whole(response, coding, visit).await;
            }
        }
        self.set_headers(&mut response);
        if self.method == Method::HEAD { without_body(response) } else { response }
    }

    /// An answer whose body is whole: in the coding, and with room of its own if it is large.
    async fn whole(&self, response: Response, coding: Option<Coding>, visit: Option<&Visit>) -> Response {
        let (mut parts, body) = response.into_parts();
        // It is in memory already.
        let Ok(bytes) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
            let problem = Problem::internal("an answer whose length is known could not be read");
            return self.render(&problem, Response::from_parts(parts, Body::empty()));
        };
        let bytes: Bytes = match coding {
            Some(coding) => {
                let forms = parts.extensions.remove::<Forms>();
                encoding::encode(coding, &mut parts.headers, bytes, forms.as_ref()).await
            }
            None => bytes,
        };
        let body = match visit {
            Some(visit) => visit.places().answer(bytes, visit),
            None => Ok(Body::from(bytes)),
        };
        match body {
            Ok(body) => Response::from_parts(parts, body),
            Err(problem) => self.render(&problem, Response::default()),
        }
    }

    fn render(&self, problem: &Problem, response: Response) -> Response {
        problem.render(response, self.uri.path(), propagation::current_trace_id().as_deref())
    }

    fn set_headers(&self, response: &mut Response) {
        let headers = response.headers_mut();
        // What anyone may see and keep says so itself, and what is a page what it loads.
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(NO_CONTENT_OF_ITS_OWN);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if self.origin.is_https {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, ALWAYS_HTTPS);
        }
        self.policy.cors.allow(self.page.as_ref(), headers);
        if let Some(left) = self.rate_limit() {
            headers.insert(RATE_LIMIT, left);
            headers.insert(RATE_LIMIT_POLICY, self.policy_told.clone());
        }
    }

    /// `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10): what is left, and in how many seconds it is all again.
    fn rate_limit(&self) -> Option<HeaderValue> {
        let general = self.left[0]?;
        let mut text = String::with_capacity(64);
        tell(&mut text, GENERAL, general);
        if let Some(sign_in) = self.left[1] {
            text.push_str(", ");
            tell(&mut text, SIGN_IN, sign_in);
        }
        HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
    }
}

fn tell(text: &mut String, name: &str, left: Left) {
    let seconds = left.full_in.as_secs() + u64::from(left.full_in.subsec_nanos() > 0);
    // Writing to a string can't fail.
    let _ = write!(text, "\"{name}\";r={};t={seconds}", left.requests);
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
