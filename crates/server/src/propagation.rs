//! W3C trace context (<https://www.w3.org/TR/trace-context/>) in and out of headers.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator as _},
    trace::{SpanContext, TraceContextExt as _, TraceFlags, TraceState},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

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
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        let flags = span.trace_flags() & TraceFlags::SAMPLED;
        let parent = format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id());
        // Both are visible ASCII.
        if let Ok(mut parent) = HeaderValue::try_from(parent) {
            // No other call has the same: HPACK need not remember it (RFC 7541, section 7.1.3).
            parent.set_sensitive(true);
            headers.insert(TRACEPARENT, parent);
        }
        let state = HeaderValue::try_from(span.trace_state().header()).ok();
        headers.extend(state.filter(|state| !state.is_empty()).map(|state| (TRACESTATE, state)));
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
