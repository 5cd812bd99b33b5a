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

/// Where a document came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// None was read: what the process was started with holds.
    Options,
    /// The file for a cold start.
    File,
}

impl Source {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Options => "options",
            Self::File => "file",
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
    provenance: Mutex<Provenance>,
    documents: Counter<u64>,
}

impl CurrentSettings {
    /// No document: everything is left to the process's options.
    pub(crate) fn new() -> Self {
        Self {
            current: watch::Sender::default(),
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

/// The file, as far as a document may be too long.
fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut document = Vec::new();
    File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut document)?;
    Ok(document)
}
