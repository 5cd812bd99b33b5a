//! Logs, traces and metrics of the process, installed once. An embedded server shares what its process has.

use std::{fmt, sync::OnceLock};

use opentelemetry_sdk::Resource;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

mod logs;
pub(crate) mod metrics;
pub(crate) mod request;
mod traces;

pub use logs::LogFormat;
pub(crate) use logs::log_panics;

/// A new database's dozens of migrations are one event to an operator, not a line each.
const DEFAULT_LOG_LEVEL: &str = "info,sea_orm_migration=warn";

/// How a process logs and what it exports.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryOptions {
    /// What is logged, in the syntax of tracing's `EnvFilter`: `info`, `warn,shop_order=debug`.
    #[arg(long, env = "SHOP_LOG_LEVEL", value_name = "FILTER", default_value = DEFAULT_LOG_LEVEL, value_parser = log_level)]
    pub log_level: String,

    /// How log lines are written to stderr.
    #[arg(long, env = "SHOP_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// Where traces are sent over OTLP/gRPC; without it none are.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", value_parser = endpoint)]
    pub otlp_endpoint: Option<String>,

    /// Share of traces that start here which are recorded, 0 to 1. A caller's decision is kept.
    #[arg(long, env = "SHOP_TRACE_SAMPLE_RATIO", value_name = "RATIO", default_value = "0.1", value_parser = ratio)]
    pub trace_sample_ratio: f64,
}

impl Default for TelemetryOptions {
    fn default() -> Self {
        Self {
            log_level: DEFAULT_LOG_LEVEL.to_owned(),
            log_format: LogFormat::Text,
            otlp_endpoint: None,
            trace_sample_ratio: 0.1,
        }
    }
}

fn log_level(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn endpoint(text: &str) -> Result<String, String> {
    match text.parse::<http::Uri>() {
        Ok(uri) if uri.scheme_str() == Some("http") && uri.host().is_some() => Ok(text.to_owned()),
        _ => Err("expected http://host:port".to_owned()),
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

/// Why telemetry can't be installed.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter has no meaning.
    #[error("{filter:?} does not say what to log: expected for example `info` or `warn,shop_order=debug`")]
    LogLevel {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The exporter can't be made for this endpoint.
    #[error("can't export traces to {endpoint} (set by --otlp-endpoint or OTEL_EXPORTER_OTLP_ENDPOINT)")]
    Exporter {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        source: opentelemetry_otlp::ExporterBuildError,
    },
}

/// What was installed: change it while the process runs, flush it before the process ends. Clones are the same one.
#[derive(Clone)]
pub struct Telemetry {
    traces: traces::Traces,
    refilter: logs::Refilter,
    options: TelemetryOptions,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Telemetry {
    /// What is logged from now on, in the syntax of the option; `None` is what the process was started with. A filter
    /// without a meaning changes nothing.
    pub fn set_log_level(&self, filter: Option<&str>) -> Result<(), TelemetryError> {
        let filter = parse_filter(filter.unwrap_or(&self.options.log_level))?;
        if !(self.refilter)(filter) {
            tracing::debug!("the process logs through a subscriber of its own, whose filter stays");
        }
        Ok(())
    }

    /// The share of traces that are recorded from now on, 0 to 1; `None` is what the process was started with. Without an
    /// endpoint to export to none are.
    pub fn set_trace_sample_ratio(&self, ratio: Option<f64>) {
        self.traces.ratio.set(ratio.unwrap_or(self.options.trace_sample_ratio));
    }

    /// Sends what has not been sent yet, at most two seconds.
    pub async fn flush(&self) {
        self.traces.flush().await;
    }
}

static INSTALLED: OnceLock<Telemetry> = OnceLock::new();

/// What [`install`] made of this process's options, once it has.
pub fn installed() -> Option<Telemetry> {
    INSTALLED.get().cloned()
}

/// Installs logs, traces and metrics for the whole process; call it inside the runtime. What was installed first stays: a
/// second call changes nothing and returns the first.
pub fn install(name: &'static str, options: TelemetryOptions) -> Result<Telemetry, TelemetryError> {
    if let Some(telemetry) = installed() {
        return Ok(telemetry);
    }
    let filter = parse_filter(&options.log_level)?;
    let traces = traces::Traces::new(name, options.otlp_endpoint.clone(), options.trace_sample_ratio)?;
    metrics::install(name);
    let (logs, refilter) = logs::layer(options.log_format, filter);
    let subscriber = tracing_subscriber::registry().with(traces.layer()).with(logs);
    // It fails where the process has a subscriber of its own, which then gets the events.
    let _ = subscriber.try_init();
    Ok(INSTALLED.get_or_init(|| Telemetry { traces, refilter, options }).clone())
}

fn parse_filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(text).map_err(|source| TelemetryError::LogLevel { filter: text.to_owned(), source })
}

/// What identifies this process in traces and metrics.
fn resource(name: &'static str) -> Resource {
    Resource::builder()
        .with_service_name(name)
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}
