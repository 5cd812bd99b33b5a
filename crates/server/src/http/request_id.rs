//! The name of one request, for people who compare notes: in the answer, the span and every log line.

use std::{
    fmt::Write as _,
    hash::{BuildHasher as _, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longer than a UUID or a trace id with a span id.
const MAX_LENGTH: usize = 128;
/// Two numbers of 16 hexadecimal digits, and what is between them.
const MADE_LENGTH: usize = 33;

tokio::task_local! {
    pub(super) static CURRENT: HeaderValue;
}

/// The client's name for the request, if it is a single sane one, or else one that this process never gave before.
pub(super) fn of(headers: &HeaderMap) -> HeaderValue {
    let mut given = headers.get_all(HEADER).iter();
    match (given.next(), given.next()) {
        (Some(id), None) if is_sane(id.as_bytes()) => id.clone(),
        _ => made(),
    }
}

/// Calls `read` with the id of the request that this task works on, if it works on one.
pub(crate) fn with_current(read: impl FnOnce(&str)) {
    let _ = CURRENT.try_with(|id| id.to_str().map(read));
}

fn is_sane(id: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_LENGTH).contains(&id.len()) && id.iter().all(allowed)
}

/// A number of this process's own, random, and one of the request: unique, without asking the system for randomness at
/// every request.
fn made() -> HeaderValue {
    static PROCESS: LazyLock<String> =
        LazyLock::new(|| format!("{:016x}-", RandomState::new().hash_one(std::process::id())));
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut id = String::with_capacity(MADE_LENGTH);
    id.push_str(&PROCESS);
    // Writing to a string can't fail.
    let _ = write!(id, "{:x}", NEXT.fetch_add(1, Ordering::Relaxed));
    // Hexadecimal digits are a valid value.
    HeaderValue::from_maybe_shared(Bytes::from(id)).unwrap_or(HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_kept_and_another_replaced() {
        let id = |values: &[&'static str]| {
            let headers = values.iter().map(|value| (HEADER, HeaderValue::from_static(value))).collect();
            of(&headers).to_str().unwrap().to_owned()
        };
        for sane in ["a", "0198c9a5-7d3e-7c4e-9d0a-3f1f5f0a1b2c", "00-4bf9.2_x"] {
            assert_eq!(id(&[sane]), sane);
        }
        let long: &'static str = "x".repeat(MAX_LENGTH + 1).leak();
        for other in [&[][..], &[""], &["a b"], &["a\"b"], &["<script>"], &[long], &["a", "b"]] {
            let made = id(other);
            assert!(made.len() > 16 && is_sane(made.as_bytes()) && made != id(other), "{other:?}: {made}");
        }
    }
}
