//! The settings in force: the last good document, wherever it came from.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
    time::SystemTime,
};

use opentelemetry::{KeyValue, global, metrics::Counter};
use parking_lot::Mutex;
use serde_json::{Value, json};
use shop_types::settings::{MAX_BYTES, Settings};
use tokio::sync::watch;

use crate::link::Link;

/// What Consul is asked.
const QUESTION: &str = "settings";

/// Where a document came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// None was read: what the process was started with holds.
    Options,
    /// The file for a cold start.
    File,
    /// The key in Consul.
    Consul,
}

impl Source {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Options => "options",
            Self::File => "file",
            Self::Consul => "consul",
        }
    }
}

struct Provenance {
    source: Source,
    since: SystemTime,
    /// What was refused since, and why.
    refused: Option<String>,
}

/// Keeps the last good document.
pub(crate) struct CurrentSettings {
    current: watch::Sender<Arc<Settings>>,
    /// What the key in Consul was last; at first nobody knows.
    #[expect(clippy::option_option, reason = "not asked yet, not there, there")]
    in_consul: Mutex<Option<Option<Vec<u8>>>>,
    provenance: Mutex<Provenance>,
    documents: Counter<u64>,
}

impl CurrentSettings {
    /// No document: everything is left to the process's options.
    pub(crate) fn new() -> Self {
        Self {
            current: watch::Sender::default(),
            in_consul: Mutex::default(),
            provenance: Mutex::new(Provenance { source: Source::Options, since: SystemTime::now(), refused: None }),
            documents: global::meter("shop")
                .u64_counter("shop.settings.documents")
                .with_description("Documents of settings that were read, by source and outcome: accepted or refused")
                .build(),
        }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Settings>> {
        self.current.subscribe()
    }

    /// Reads the file for a cold start. With a broken one the process starts as it would without: serving with its options
    /// is more than not serving.
    pub(crate) fn read_file(&self, path: &Path) {
        match bounded(path) {
            Ok(document) => self.offer(Source::File, &document),
            Err(error) => self.refuse(Source::File, format!("{} can't be read: {error}", path.display())),
        }
    }

    /// Follows the key in Consul for ever.
    pub(crate) async fn follow(&self, link: &Link, key: &str) {
        link.follow(QUESTION, |wait| link.client.key(key, Some(wait)), |news| self.learn(key, news.value)).await;
    }

    fn learn(&self, key: &str, document: Option<Vec<u8>>) {
        let seen = Some(document.clone());
        let before = std::mem::replace(&mut *self.in_consul.lock(), seen.clone());
        if before == seen {
            return;
        }
        match (document, before.flatten()) {
            (Some(document), _) => self.offer(Source::Consul, &document),
            (None, Some(_)) => self.refuse(Source::Consul, format!("{key} was removed")),
            (None, None) => tracing::info!(settings.key = key, "There are no settings in Consul: the options hold."),
        }
    }

    /// Puts a document into force, or logs and counts why not.
    pub(crate) fn offer(&self, source: Source, document: &[u8]) {
        match Settings::parse(document) {
            Ok(settings) => self.accept(source, settings),
            Err(error) => self.refuse(source, error.to_string()),
        }
    }

    fn accept(&self, source: Source, settings: Settings) {
        self.count(source, "accepted");
        *self.provenance.lock() = Provenance { source, since: SystemTime::now(), refused: None };
        let changed = self.current.send_if_modified(|current| {
            let changed = **current != settings;
            if changed {
                *current = Arc::new(settings);
            }
            changed
        });
        if changed {
            tracing::info!(settings.source = source.as_str(), "New settings are in force.");
        }
    }

    fn refuse(&self, source: Source, reason: String) {
        self.count(source, "refused");
        tracing::error!(
            settings.source = source.as_str(),
            reason,
            "New settings are refused: the last good ones stay."
        );
        self.provenance.lock().refused = Some(reason);
    }

    fn count(&self, source: Source, outcome: &'static str) {
        self.documents.add(1, &[KeyValue::new("source", source.as_str()), KeyValue::new("outcome", outcome)]);
    }

    /// What operators see.
    pub(crate) fn report(&self) -> Value {
        let provenance = self.provenance.lock();
        json!({
            "source": provenance.source.as_str(),
            "age_s": provenance.since.elapsed().unwrap_or_default().as_secs(),
            "refused": provenance.refused,
            "values": **self.current.borrow(),
        })
    }
}

/// Makes the process log and trace as the settings say, and as its options say where they say nothing.
pub(crate) async fn apply_to_telemetry(mut settings: watch::Receiver<Arc<Settings>>) {
    loop {
        let now = settings.borrow_and_update().clone();
        if let Some(telemetry) = shop_server::telemetry() {
            if let Err(error) = telemetry.set_log_level(now.log_level.as_deref()) {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "The log level of the settings can't be used."
                );
            }
            telemetry.set_trace_sample_ratio(now.trace_sample_ratio);
        }
        if settings.changed().await.is_err() {
            return;
        }
    }
}

/// The file, as far as a document may be too long.
fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut document = Vec::new();
    File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut document)?;
    Ok(document)
}
