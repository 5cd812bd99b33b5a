//! Spans: a trace id in every request always, recording and OTLP export only where an endpoint is configured.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanContext, SpanKind, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, IdGenerator as _, RandomIdGenerator, Sampler, SamplingDecision,
    SamplingResult, SdkTracerProvider, ShouldSample, SpanLimits, TracerProviderBuilder,
};
use tracing::{Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt as _, filter_fn},
    registry::LookupSpan,
};

use super::{TelemetryError, resource};
use crate::propagation::Caller;

/// Spans waiting for export: some 2 MiB. More are dropped, requests never wait for them.
const MAX_QUEUE: usize = 2048;
/// Spans in one export: the protocol's messages stay under the usual 4 MiB.
const MAX_BATCH: usize = 512;
/// How long a span waits for others to travel with.
const BATCH_DELAY: Duration = Duration::from_secs(2);
/// One export; a collector that needs longer is overloaded.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// What is left to send when the process leaves gets this long (design: flush within two seconds).
const FLUSH_BOUND: Duration = Duration::from_secs(2);
/// Attributes and events of a span: ours have about ten, so more is a bug that must not grow memory.
const MAX_PER_SPAN: u32 = 32;

/// The process's tracer provider.
#[derive(Debug, Clone)]
pub(super) struct Traces {
    provider: SdkTracerProvider,
    pub(super) ratio: Ratio,
    exports: bool,
}

/// A request's trace, and whether its span is recorded here.
pub(super) enum Trace {
    /// What the span is a child of.
    Recorded(Context),
    /// What the request's work is done in instead of a span.
    Unrecorded(Context),
}

/// In the context of a span that begins a trace: it was drawn to be recorded.
#[derive(Debug)]
struct Drawn;

/// The share of the traces starting here that are recorded. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Ratio(Arc<AtomicU64>);

impl Ratio {
    fn new(ratio: f64) -> Self {
        Self(Arc::new(AtomicU64::new(ratio.to_bits())))
    }

    pub(super) fn set(&self, ratio: f64) {
        self.0.store(ratio.to_bits(), Ordering::Relaxed);
    }

    fn sampler(&self) -> Sampler {
        Sampler::TraceIdRatioBased(f64::from_bits(self.0.load(Ordering::Relaxed)))
    }

    fn draws(&self, trace_id: TraceId) -> bool {
        let drawn = self.sampler().should_sample(None, trace_id, "", &SpanKind::Server, &[], &[]);
        drawn.decision == SamplingDecision::RecordAndSample
    }
}

impl ShouldSample for Ratio {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let drawn = parent.is_some_and(|parent| parent.get::<Drawn>().is_some());
        let sampler = if drawn { Sampler::AlwaysOn } else { self.sampler() };
        sampler.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}

impl Traces {
    pub(super) fn new(name: &'static str, endpoint: Option<String>, ratio: f64) -> Result<Self, TelemetryError> {
        let limits = SpanLimits {
            max_events_per_span: MAX_PER_SPAN,
            max_attributes_per_span: MAX_PER_SPAN,
            max_links_per_span: MAX_PER_SPAN,
            ..SpanLimits::default()
        };
        let builder = SdkTracerProvider::builder().with_resource(resource(name)).with_span_limits(limits);
        let (ratio, exports) = (Ratio::new(ratio), endpoint.is_some());
        let builder = match endpoint {
            None => builder.with_sampler(Sampler::AlwaysOff),
            Some(endpoint) => exporting(builder, endpoint, ratio.clone())?,
        };
        Ok(Self { provider: builder.build(), ratio, exports })
    }

    /// Decides as the sampler would, before there is a span: the decision of a caller who may decide is kept, and a new trace
    /// is drawn for.
    pub(super) fn begin(&self, caller: Option<Caller>) -> Trace {
        let ids = RandomIdGenerator::default();
        let (trace_id, state) = if let Some(Caller { span, decides }) = caller {
            let (trace_id, state) = (span.trace_id(), span.trace_state().clone());
            // An id that the caller chose would be no draw.
            let is_recorded = || if decides { span.is_sampled() } else { self.ratio.draws(ids.new_trace_id()) };
            if self.exports && is_recorded() {
                let span = SpanContext::new(trace_id, span.span_id(), TraceFlags::SAMPLED, true, state);
                return Trace::Recorded(Context::new().with_remote_span_context(span));
            }
            (trace_id, state)
        } else {
            let trace_id = ids.new_trace_id();
            if self.exports && self.ratio.draws(trace_id) {
                return Trace::Recorded(Context::new().with_value(Drawn));
            }
            (trace_id, TraceState::NONE)
        };
        let passing = SpanContext::new(trace_id, ids.new_span_id(), TraceFlags::NOT_SAMPLED, false, state);
        Trace::Unrecorded(Context::new().with_remote_span_context(passing))
    }

    /// Makes spans of ours into OpenTelemetry's. Only warnings and errors become events of a span: every log line would
    /// be written twice otherwise.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let spans_and_warnings = filter_fn(|metadata| metadata.is_span() || *metadata.level() <= Level::WARN);
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("shop"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_filter(LevelFilter::INFO.and(spans_and_warnings.with_max_level_hint(LevelFilter::INFO)))
    }

    pub(super) async fn flush(&self) {
        let provider = self.provider.clone();
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_BOUND));
        match tokio::time::timeout(FLUSH_BOUND, flushed).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(error = %error, "some traces were not sent"),
            Ok(Err(error)) => tracing::warn!(error = %error, "some traces were not sent"),
            Err(_) => tracing::warn!("some traces were not sent in time"),
        }
    }
}

fn exporting(
    builder: TracerProviderBuilder,
    endpoint: String,
    ratio: Ratio,
) -> Result<TracerProviderBuilder, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|source| TelemetryError::Exporter { endpoint, source })?;
    let batch = BatchConfigBuilder::default()
        .with_max_queue_size(MAX_QUEUE)
        .with_max_export_batch_size(MAX_BATCH)
        .with_scheduled_delay(BATCH_DELAY)
        .build();
    Ok(builder
        .with_sampler(Sampler::ParentBased(Box::new(ratio)))
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batch).build()))
}
