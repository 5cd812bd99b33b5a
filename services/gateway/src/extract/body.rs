//! Request bodies: JSON that is read to the end and refused with the place of the fault, or raw bytes. A body is read after
//! its caller was judged, within a size, a time and a room that all bodies share.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
};
use bytes::BytesMut;
use http::{HeaderMap, header, request::Parts};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use shop_proto::status::Reason;
use tokio::time::{Instant, timeout_at};

use super::object::Objects;
use crate::{edge::Visit, problem::Problem};

/// The largest body that is read. The largest meaningful one, a product with all its attributes, is far below.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Bytes a second at which a body must come once its first seconds are over: a bad mobile connection.
const LEAST_RATE: usize = 32 * 1024;

/// A body that must be JSON and a `T`.
pub(crate) struct JsonBody<T>(pub T);

/// The body of an action: nothing at all, `null`, or a `T`.
pub(crate) struct Action<T>(pub T);

/// The body byte for byte, of any type.
pub(crate) struct RawBody(pub Bytes);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        require_json(&parts.headers)?;
        let bytes = read(&parts, body).await?;
        parse(&bytes).map(Self)
    }
}

impl<S: Sync, T: DeserializeOwned + Default> FromRequest<S> for Action<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts, body).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        require_json(&parts.headers)?;
        parse::<Option<T>>(&bytes).map(|body| Self(body.unwrap_or_default()))
    }
}

impl<S: Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        read(&parts, body).await.map(Self)
    }
}

/// The longest that reading a body may take, given what it may take to begin with.
pub(crate) fn longest_body(timeout: Duration) -> Duration {
    timeout + time_for(MAX_BODY_BYTES)
}

/// What so many bytes may take at the least rate.
fn time_for(bytes: usize) -> Duration {
    Duration::from_micros((bytes as u64).saturating_mul(1_000_000) / LEAST_RATE as u64)
}

/// Reads a body to its end. Only then does the request take a place among those that are worked on, so that slow ones keep
/// none from the others.
async fn read(parts: &Parts, mut body: Body) -> Result<Bytes, Problem> {
    let visit = parts.extensions.get::<Visit>().ok_or_else(|| Problem::internal("the request has no visit"))?;
    refuse_codings(&parts.headers)?;
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(too_large());
    }
    let latest = Instant::now() + visit.body_timeout();
    let mut whole = BytesMut::new();
    loop {
        let Ok(frame) = timeout_at(latest + time_for(whole.len()), body.frame()).await else {
            let detail = "The body did not arrive in time. Send it again, faster.";
            return Err(Problem::new(Reason::RequestTimeout, detail));
        };
        let Some(frame) = frame else { break };
        let frame =
            frame.map_err(|_| Problem::new(Reason::MalformedRequest, "The body ended before it was complete."))?;
        // Trailers say nothing here.
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > MAX_BODY_BYTES {
            return Err(too_large());
        }
        visit.hold(data.len())?;
        if whole.is_empty() && body.is_end_stream() {
            // Most bodies come in one piece, which need not be copied.
            visit.begin_after_body()?;
            return Ok(data);
        }
        whole.extend_from_slice(&data);
    }
    visit.begin_after_body()?;
    Ok(whole.freeze())
}

fn too_large() -> Problem {
    Problem::new(Reason::BodyTooLarge, format!("The body may have at most {MAX_BODY_BYTES} bytes."))
}

/// Nothing is ever expanded: a small body could become any size.
fn refuse_codings(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get_all(header::CONTENT_ENCODING).iter().all(|value| value == "identity") {
        return Ok(());
    }
    Err(Problem::new(Reason::UnsupportedMediaType, "Send the body as it is, without Content-Encoding."))
}

/// Accepts `application/json` and `application/*+json` (a merge patch), in UTF-8 if a charset is named. Two types are none: who reads the other one reads another request.
fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let stated = types.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let one = types.next().is_none();
    let mut parts = stated.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let json = essence
        .strip_prefix("application/")
        .is_some_and(|subtype| subtype == "json" || subtype.len() > 5 && subtype.ends_with("+json"));
    let utf8 = parts.filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
        !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    if one && json && utf8 {
        return Ok(());
    }
    Err(Problem::new(Reason::UnsupportedMediaType, "Send JSON in UTF-8, with Content-Type: application/json."))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(Objects(&mut deserializer)).map_err(|error| {
        let pointer = pointer(error.path());
        refused(pointer, error.inner())
    })?;
    deserializer.end().map_err(|error| refused(String::new(), &error))?;
    Ok(value)
}

/// Where a value does not fit, its pointer; where the text is no JSON, line and column.
fn refused(mut pointer: String, error: &serde_json::Error) -> Problem {
    if !error.is_data() {
        let (line, column) = (error.line(), error.column());
        let what = plain(error);
        return Problem::new(
            Reason::MalformedRequest,
            format!("No valid JSON: {what} at line {line} column {column}."),
        );
    }
    let detail = plain(error);
    // The path ends above a field that is missing or there twice; only the message names it.
    for kind in ["missing field `", "duplicate field `"] {
        if let Some(field) = detail.strip_prefix(kind).and_then(|rest| rest.strip_suffix('`')) {
            pointer.push_str(&token(field));
        }
    }
    Problem::malformed(pointer, detail)
}

/// The error without its place, and with the names of JSON's types instead of Rust's.
fn plain(error: &serde_json::Error) -> String {
    let message = error.to_string();
    // The last one: those before it are the client's.
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let message = message.replace("expected i64", "expected an integer").replace("expected u32", "expected an integer");
    match message.find("expected struct ") {
        Some(start) => format!("{}expected an object", &message[..start]),
        None => message,
    }
}

/// RFC 6901.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => token(key),
            Segment::Enum { .. } | Segment::Unknown => String::new(),
        })
        .collect()
}

fn token(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}
