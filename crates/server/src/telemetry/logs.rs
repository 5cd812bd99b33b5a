//! Log lines on stderr: a sentence, its fields, and the id of the trace it belongs to.

use std::{backtrace::Backtrace, fmt, panic, sync::Arc};

use serde::ser::{SerializeMap as _, Serializer as _};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::Interest,
};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::{Context, Filter},
    registry::LookupSpan,
    reload,
};

use crate::{http::request_id, propagation::current_trace_id};

const BACKTRACE: &str = "panic.backtrace";

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Changes what is logged; false when the process logs through a subscriber of its own.
pub(super) type Refilter = Arc<dyn Fn(EnvFilter) -> bool + Send + Sync>;

/// The layer that writes, and what changes its filter. A call site that the filter settles once is not asked again, so
/// that being changeable costs nothing a line.
pub(super) fn layer<S>(format: LogFormat, filter: EnvFilter) -> (impl Layer<S>, Refilter)
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let (filter, handle) = reload::Layer::new(EventsOnly(filter));
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .event_format(Line { format })
        .with_filter(filter);
    (layer, Arc::new(move |filter| handle.reload(EventsOnly(filter)).is_ok()))
}

/// Logs panics with a backtrace, where they happen: there the trace id and the stack are still known.
pub(crate) fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("no message");
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(
            panic.message = message,
            panic.location = location,
            { BACKTRACE } = %Backtrace::force_capture(),
            "panicked"
        );
    }));
}

/// Keeps spans away from the log layer: it shows none of their fields, and formatting them costs every request.
struct EventsOnly(EnvFilter);

impl<S: Subscriber> Filter<S> for EventsOnly {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        metadata.is_event() && Filter::<S>::enabled(&self.0, metadata, context)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_event() { Filter::<S>::callsite_enabled(&self.0, metadata) } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(&self.0)
    }
}

struct Line {
    format: LogFormat,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        match self.format {
            LogFormat::Text => text(&mut writer, event),
            LogFormat::Json => json(&mut writer, event),
        }
    }
}

fn text(writer: &mut Writer<'_>, event: &Event<'_>) -> fmt::Result {
    let metadata = event.metadata();
    let mut fields = TextFields { message: String::new(), rest: String::new() };
    event.record(&mut fields);
    SystemTime.format_time(writer)?;
    request_id::with_current(|id| fields.rest.extend([" request_id=", id]));
    write!(writer, " {:>5} {}: {}{}", metadata.level().as_str(), metadata.target(), fields.message, fields.rest)?;
    if let Some(trace_id) = current_trace_id() {
        write!(writer, " trace_id={trace_id}")?;
    }
    writeln!(writer)
}

/// The message first, then the fields in their order. A line stays a line, except for backtraces.
struct TextFields {
    message: String,
    rest: String,
}

impl Visit for TextFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            push_escaped(&mut self.message, value);
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_debug(field, &format_args!("{}", chain(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => push_escaped(&mut self.message, &format!("{value:?}")),
            BACKTRACE => self.rest.extend([" ", BACKTRACE, "=\n", &format!("{value:?}")]),
            name => {
                self.rest.extend([" ", name, "="]);
                push_escaped(&mut self.rest, &format!("{value:?}"));
            }
        }
    }
}

/// An error and what caused it, outermost first.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Control characters in a value, which may be a client's, must not forge a line.
fn push_escaped(line: &mut String, value: &str) {
    for character in value.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
}

fn json(writer: &mut Writer<'_>, event: &Event<'_>) -> fmt::Result {
    let metadata = event.metadata();
    let mut timestamp = String::new();
    SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
    let mut line = Vec::with_capacity(256);
    let written = (|| {
        let mut serializer = serde_json::Serializer::new(&mut line);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &timestamp)?;
        map.serialize_entry("level", metadata.level().as_str())?;
        map.serialize_entry("target", metadata.target())?;
        let mut fields = JsonFields { map: &mut map, failed: None };
        event.record(&mut fields);
        if let Some(error) = fields.failed {
            return Err(error);
        }
        let mut request_id = Ok(());
        request_id::with_current(|id| request_id = map.serialize_entry("request_id", id));
        request_id?;
        if let Some(trace_id) = current_trace_id() {
            map.serialize_entry("trace_id", &trace_id)?;
        }
        map.end()
    })();
    written.map_err(|_| fmt::Error)?;
    writeln!(writer, "{}", std::str::from_utf8(&line).map_err(|_| fmt::Error)?)
}

struct JsonFields<'a, M: serde::ser::SerializeMap> {
    map: &'a mut M,
    failed: Option<M::Error>,
}

impl<M: serde::ser::SerializeMap> JsonFields<'_, M> {
    fn entry(&mut self, field: &Field, value: &(impl serde::Serialize + ?Sized)) {
        if self.failed.is_none() {
            self.failed = self.map.serialize_entry(field.name(), value).err();
        }
    }
}

impl<M: serde::ser::SerializeMap> Visit for JsonFields<'_, M> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.entry(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.entry(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.entry(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.entry(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.entry(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.entry(field, &chain(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.entry(field, &format!("{value:?}"));
    }
}
