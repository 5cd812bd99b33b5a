//! W3C trace context (<https://www.w3.org/TR/trace-context/>) in and out of headers.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::{SpanContext, TraceContextExt as _, TraceFlags, TraceState},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;

const TRACEPARENT: &str = "traceparent";

/// The caller's trace context; an empty one when there is none or it can't be read.
pub fn extract(headers: &HeaderMap) -> Context {
    extract_remote(headers, true).unwrap_or_default()
}

/// [`extract`], and `None` without the work when the caller sent none. Of a caller that is not trusted only the trace's id
/// counts: whether it is recorded, which costs, and what else travels along is not for just anyone to say.
pub(crate) fn extract_remote(headers: &HeaderMap, trusted: bool) -> Option<Context> {
    if !headers.contains_key(TRACEPARENT) {
        return None;
    }
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
    if trusted {
        return Some(context);
    }
    let span = context.span();
    let span = span.span_context();
    let stripped = SpanContext::new(span.trace_id(), span.span_id(), TraceFlags::NOT_SAMPLED, true, TraceState::NONE);
    stripped.is_valid().then(|| Context::new().with_remote_span_context(stripped))
}

/// Writes the current trace context for the callee.
pub fn inject(headers: &mut HeaderMap) {
    Context::map_current(|context| {
        TraceContextPropagator::new().inject_context(context, &mut HeaderInjector(headers));
    });
}

/// The id of the trace that this task works in, 32 hexadecimal digits. There is one in every request.
pub fn current_trace_id() -> Option<String> {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| span.trace_id().to_string())
    })
}

struct HeaderExtractor<'a>(&'a HeaderMap);

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeaderInjector<'a>(&'a mut HeaderMap);

impl Injector for HeaderInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}
