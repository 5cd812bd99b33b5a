//! Span, duration by method and code, and calls in flight.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use http::{HeaderMap, HeaderName, Request};
use opentelemetry::{KeyValue, global, metrics::Histogram};
use tonic::{Code, body::Body};

use super::methods::Method;
use crate::{
    propagation,
    telemetry::{metrics::DURATION_BUCKETS, request::RequestSpan},
};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The instruments of one server.
#[derive(Debug)]
pub(super) struct Instruments {
    duration: Histogram<f64>,
    in_flight: Arc<AtomicI64>,
}

impl Instruments {
    pub(super) fn new(server: &'static str) -> Self {
        let meter = global::meter("shop");
        let duration = meter
            .f64_histogram("rpc.server.call.duration")
            .with_unit("s")
            .with_description("Time from a call's first byte to the end of its answer")
            .with_boundaries(DURATION_BUCKETS.to_vec())
            .build();
        let in_flight = Arc::new(AtomicI64::new(0));
        let observed = Arc::clone(&in_flight);
        meter
            .i64_observable_up_down_counter("rpc.server.active_requests")
            .with_description("Calls begun and not answered to the end")
            .with_callback(move |observer| {
                observer.observe(observed.load(Ordering::Relaxed), &[KeyValue::new("server", server)]);
            })
            .build();
        Self { duration, in_flight }
    }

    /// Begins the observation of a call.
    pub(super) fn begin(self: &Arc<Self>, method: Method, request: &Request<Body>) -> Observation {
        let caller = propagation::extract(request.headers(), true);
        let span = RequestSpan::begin(caller, || {
            tracing::info_span!(
                "rpc",
                otel.name = method.full_name,
                otel.kind = "server",
                otel.status_code = tracing::field::Empty,
                rpc.system = "grpc",
                rpc.service = method.service,
                rpc.method = method.name,
                rpc.grpc.status_code = tracing::field::Empty,
            )
        });
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Observation { instruments: Arc::clone(self), method, span, started: Instant::now(), code: None }
    }
}

/// One call, from its headers to the end of its answer. Dropped without a code it was given up by its caller.
#[derive(Debug)]
pub(super) struct Observation {
    instruments: Arc<Instruments>,
    method: Method,
    span: RequestSpan,
    started: Instant,
    code: Option<Code>,
}

impl Observation {
    pub(super) fn span(&self) -> &RequestSpan {
        &self.span
    }

    /// Takes the code from headers or trailers, where there is one.
    pub(super) fn note(&mut self, headers: &HeaderMap) {
        if let Some(value) = headers.get(GRPC_STATUS) {
            self.code = Some(Code::from_bytes(value.as_bytes()));
        }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled);
        self.instruments.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.instruments.duration.record(
            self.started.elapsed().as_secs_f64(),
            &[
                KeyValue::new("rpc.service", self.method.service),
                KeyValue::new("rpc.method", self.method.name),
                KeyValue::new("rpc.response.status_code", code_name(code)),
            ],
        );
        if let Some(span) = self.span.recorded() {
            span.record("rpc.grpc.status_code", code as i32);
            if is_server_fault(code) {
                span.record("otel.status_code", "ERROR");
            }
        }
    }
}

/// The codes that are the server's doing, by OpenTelemetry's conventions for gRPC.
fn is_server_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// As the protocol spells them.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
