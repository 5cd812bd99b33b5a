//! W3C trace context (<https://www.w3.org/TR/trace-context/>) in and out of headers.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// A `traceparent` of version 0 that is not sampled, and where its parts are.
const UNSAMPLED: [u8; 55] = *b"00-00000000000000000000000000000000-0000000000000000-00";
const TRACE_ID: std::ops::Range<usize> = 3..35;
const PARENT_ID: std::ops::Range<usize> = 36..52;
const SAMPLED: usize = 54;

/// Who begins a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Caller {
    pub(crate) span: SpanContext,
    /// Whether its word on whether the trace is recorded counts.
    pub(crate) decides: bool,
}

/// The caller's span; none if it sent none, or none that can be read. Of a caller that is not trusted only the trace's id
/// counts: whether it is recorded, which costs, and what else travels along is not for just anyone to say.
pub(crate) fn extract(headers: &HeaderMap, trusted: bool) -> Option<Caller> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    // Of several, none is the caller's.
    let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
    let (trace_id, span_id, flags) = parse(parent.to_str().ok()?)?;
    let (flags, state) = if trusted { (flags, state(headers)) } else { (TraceFlags::NOT_SAMPLED, TraceState::NONE) };
    let span = SpanContext::new(trace_id, span_id, flags, true, state);
    span.is_valid().then_some(Caller { span, decides: trusted })
}

/// What its fields say together, as of any list (RFC 9110, section 5.3).
fn state(headers: &HeaderMap) -> TraceState {
    let lines: Vec<_> = headers.get_all(TRACESTATE).iter().filter_map(|line| line.to_str().ok()).collect();
    lines.join(",").parse().unwrap_or_default()
}

/// `version "-" trace-id "-" parent-id "-" trace-flags`. A later version may have more, and only its first flag is known.
fn parse(parent: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    let mut parts = parent.split('-');
    let [version] = bytes(parts.next()?)?;
    let (trace_id, span_id) = (bytes(parts.next()?)?, bytes(parts.next()?)?);
    let [flags] = bytes(parts.next()?)?;
    let is_known = match version {
        0 => parts.next().is_none(),
        version => version != u8::MAX,
    };
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    is_known.then(|| (TraceId::from_bytes(trace_id), SpanId::from_bytes(span_id), flags))
}

/// So many bytes in hexadecimal digits, of which letters are small.
fn bytes<const LENGTH: usize>(digits: &str) -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    digits.bytes().all(|digit| !digit.is_ascii_uppercase()).then_some(bytes)
}

/// Writes the current trace context for the callee.
pub fn inject(headers: &mut HeaderMap) {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        let mut parent = UNSAMPLED;
        // Each part has the length that its bytes take.
        let _ = hex::encode_to_slice(span.trace_id().to_bytes(), &mut parent[TRACE_ID]);
        let _ = hex::encode_to_slice(span.span_id().to_bytes(), &mut parent[PARENT_ID]);
        parent[SAMPLED] += u8::from(span.is_sampled());
        // It is visible ASCII.
        if let Ok(mut parent) = HeaderValue::from_bytes(&parent) {
            // No other call has the same: HPACK need not remember it (RFC 7541, section 7.1.3).
            parent.set_sensitive(true);
            headers.insert(TRACEPARENT, parent);
        }
        let state = HeaderValue::try_from(span.trace_state().header()).ok();
        headers.extend(state.filter(|state| !state.is_empty()).map(|state| (TRACESTATE, state)));
    });
}

/// The trace that this task works in, for what goes on in another task or after the request. It does not keep the request's
/// span from being exported.
pub fn current() -> Context {
    let span = Context::map_current(|context| context.span().span_context().clone());
    Context::new().with_remote_span_context(span)
}

/// The id of the trace that this task works in, 32 hexadecimal digits. There is one in every request.
pub fn current_trace_id() -> Option<String> {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| span.trace_id().to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn read_all(fields: &[(HeaderName, &str)], trusted: bool) -> Option<SpanContext> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::try_from(*value).unwrap());
        }
        let caller = extract(&headers, trusted)?;
        assert_eq!(caller.decides, trusted);
        Some(caller.span)
    }

    fn read(parent: &str, trusted: bool) -> Option<SpanContext> {
        read_all(&[(TRACEPARENT, parent), (TRACESTATE, "vendor=1")], trusted)
    }

    #[test]
    fn what_is_read_is_written() {
        for parent in [PARENT, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"] {
            let _attached = Context::new().with_remote_span_context(read(parent, true).unwrap()).attach();
            let mut headers = HeaderMap::new();
            inject(&mut headers);
            let written = [TRACEPARENT, TRACESTATE].map(|name| headers[name].to_str().unwrap().to_owned());
            assert_eq!(written, [parent, "vendor=1"]);
        }
    }

    #[test]
    fn who_is_not_trusted_names_the_trace_and_no_more() {
        let span = read(PARENT, false).unwrap();
        assert_eq!(span.trace_id(), read(PARENT, true).unwrap().trace_id());
        assert_eq!((span.is_sampled(), span.trace_state().header().as_str()), (false, ""));
    }

    #[test]
    fn a_state_of_several_fields_is_one_and_several_parents_are_none() {
        let span = read_all(&[(TRACEPARENT, PARENT), (TRACESTATE, "a=1"), (TRACESTATE, "b=2,c=3")], true).unwrap();
        assert_eq!(span.trace_state().header(), "a=1,b=2,c=3");
        assert_eq!(read_all(&[(TRACEPARENT, PARENT), (TRACEPARENT, PARENT)], true), None);
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = PARENT.replacen("00", "cc", 1).replace("-01", "-ff-what-else");
        assert_eq!(read(&later, true).unwrap().trace_flags(), TraceFlags::SAMPLED);
    }

    #[test]
    fn what_is_no_trace_context_is_not_read() {
        let others = [
            "",
            "00",
            &PARENT.replacen("00", "ff", 1),
            &PARENT.to_uppercase(),
            &format!("{PARENT}-00"),
            &PARENT.replace("0af7", "0af"),
            &PARENT.replace("0af7", "0afg"),
            &PARENT.replace("b7ad6b7169203331", "0000000000000000"),
            &PARENT.replace("0af7651916cd43dd8448eb211c80319c", "00000000000000000000000000000000"),
        ];
        for other in others {
            assert_eq!(read(other, true), None, "{other}");
        }
    }
}
