//! Which service of which shop a pool calls, and how requests say so.

use std::sync::Arc;

use http::{
    HeaderName, HeaderValue, Request, Uri,
    uri::{Authority, Scheme},
};

use shop_server::Tls;

use crate::metrics::Metrics;

/// Names the instance a call is meant for: `<shop uid>/<service>`. A server that is another one answers `UNAVAILABLE` with
/// `WRONG_INSTANCE` before anything else, since addresses are reused.
const TARGET: HeaderName = HeaderName::from_static("x-shop-target");

/// The service that a pool calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The shop, as in `SHOP_UID`: visible ASCII.
    pub shop_uid: String,
    /// The service's name, `user` for example.
    pub service: &'static str,
}

/// What the parts of a pool know of the service they call.
pub(crate) struct Upstream {
    pub(crate) service: &'static str,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tls: Option<Tls>,
    target: HeaderValue,
}

impl Upstream {
    pub(crate) fn new(Target { shop_uid, service }: Target, tls: Option<Tls>) -> Self {
        // A uid that can't be written is no server's: with its odd characters replaced, every call is a WRONG_INSTANCE.
        let text: String =
            format!("{shop_uid}/{service}").chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect();
        Self {
            service,
            metrics: Arc::new(Metrics::new(service)),
            tls,
            target: HeaderValue::try_from(text).unwrap_or_else(|_| unreachable!("visible ASCII is a header value")),
        }
    }

    /// Says which service a request is meant for.
    pub(crate) fn name<B>(&self, request: &mut Request<B>) {
        request.headers_mut().insert(TARGET, self.target.clone());
    }

    /// Points a request at an instance.
    pub(crate) fn route<B>(&self, request: &mut Request<B>, authority: &Authority) {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(if self.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = Some(authority.clone());
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_else(|_| unreachable!("a gRPC request has a path"));
    }
}
