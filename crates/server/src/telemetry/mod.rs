//! Logs, traces and metrics of the process, installed once. An embedded server shares what its process has.

use std::sync::OnceLock;

use opentelemetry_sdk::Resource;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

mod logs;
pub(crate) mod metrics;
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
    #[error("the log level {filter:?} is not valid (set by --log-level or SHOP_LOG_LEVEL)")]
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

/// What was installed; flush it before the process ends.
#[derive(Debug, Clone)]
pub struct Telemetry {
    traces: traces::Traces,
}

impl Telemetry {
    /// Sends what has not been sent yet, at most two seconds.
    pub async fn flush(&self) {
        self.traces.flush().await;
    }
}

/// Installs logs, traces and metrics for the whole process; call it inside the runtime. What was installed first stays: a
/// second call changes nothing and returns the first.
pub fn install(name: &'static str, options: TelemetryOptions) -> Result<Telemetry, TelemetryError> {
    static INSTALLED: OnceLock<Telemetry> = OnceLock::new();
    if let Some(telemetry) = INSTALLED.get() {
        return Ok(telemetry.clone());
    }
    let filter = EnvFilter::try_new(&options.log_level)
        .map_err(|source| TelemetryError::LogLevel { filter: options.log_level, source })?;
    let traces = traces::Traces::new(name, options.otlp_endpoint, options.trace_sample_ratio)?;
    metrics::install(name);
    let subscriber = tracing_subscriber::registry().with(traces.layer()).with(logs::layer(options.log_format, filter));
    // It fails where the process has a subscriber of its own, which then gets the events.
    let _ = subscriber.try_init();
    Ok(INSTALLED.get_or_init(|| Telemetry { traces }).clone())
}

/// What identifies this process in traces and metrics.
fn resource(name: &'static str) -> Resource {
    Resource::builder()
        .with_service_name(name)
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}
