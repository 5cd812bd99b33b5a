//! The process's meter provider and what /metrics shows of it.

use std::{
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

use super::resource;

/// The Prometheus text format.
pub(crate) const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Seconds; from a cached read to the longest request. Finer at the low end, where the shop's calls are.
pub(crate) const DURATION_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

static REGISTRY: OnceLock<Registry> = OnceLock::new();

/// Makes [`global`] meters record into /metrics; the first call counts.
pub(crate) fn install(name: &'static str) {
    REGISTRY.get_or_init(|| {
        let registry = Registry::new();
        match opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false).build() {
            Ok(exporter) => {
                let provider = SdkMeterProvider::builder().with_resource(resource(name)).with_reader(exporter).build();
                global::set_meter_provider(provider);
                observe_process();
            }
            Err(error) => tracing::error!(error = %error, "there are no metrics"),
        }
        registry
    });
}

/// Everything recorded so far, as text.
pub(crate) fn render() -> String {
    let families = REGISTRY.get().map(Registry::gather).unwrap_or_default();
    TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| {
        tracing::error!(error = %error, "the metrics can't be written");
        String::new()
    })
}

/// What Prometheus's own clients tell of a process: its build and when it started.
fn observe_process() {
    let meter = global::meter("shop");
    meter
        .u64_observable_gauge("shop.build.info")
        .with_description("1, with the version as a label")
        .with_callback(|observer| observer.observe(1, &[KeyValue::new("version", env!("CARGO_PKG_VERSION"))]))
        .build();
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    meter
        .f64_observable_gauge("process.start.time")
        .with_unit("s")
        .with_description("When the process started, in seconds since the epoch")
        .with_callback(move |observer| observer.observe(started, &[]))
        .build();
}
