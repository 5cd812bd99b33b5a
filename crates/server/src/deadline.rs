//! The time a request has left, carried by the task that works on it.
//!
//! The gRPC server sets it from `grpc-timeout`, the gateway with [`scope`]; outbound calls read it with [`current`] and pass
//! the rest on.

use std::{cell::Cell, future::Future, time::Duration};

use http::{HeaderMap, HeaderName};
use shop_proto::status::{Reason, Refusal};
use tokio::time::Instant;

tokio::task_local! {
    static CURRENT: Cell<Deadline>;
}

/// The header of the gRPC protocol.
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// The protocol's bound on the header's number.
const MAX_DIGITS: usize = 8;

/// A moment after which nobody waits for the answer any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// This moment.
    pub fn at(moment: Instant) -> Self {
        Self(moment)
    }

    /// So long from now.
    pub fn after(duration: Duration) -> Self {
        // An hour is beyond any request; the fallback only keeps the addition from overflowing.
        let now = Instant::now();
        Self(now.checked_add(duration).unwrap_or(now + Duration::from_hours(1)))
    }

    /// The moment itself.
    pub fn moment(self) -> Instant {
        self.0
    }

    /// What is left of it, zero when it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// The deadline of the request this task works on, if it works on one.
pub fn current() -> Option<Deadline> {
    CURRENT.try_with(Cell::get).ok()
}

/// Moves the deadline of the request this task works on, where the time so far was the client's: it was still sending.
pub fn restart(deadline: Deadline) {
    // Outside a request there is none to move.
    let _ = CURRENT.try_with(|current| current.set(deadline));
}

/// Runs a future with its deadline known to all it calls; it does not stop it then. Tasks spawned inside do not inherit
/// it. An inner scope can only shorten the outer one.
pub fn scope<F: Future>(deadline: Deadline, future: F) -> impl Future<Output = F::Output> {
    let effective = current().map_or(deadline, |outer| outer.min(deadline));
    CURRENT.scope(Cell::new(effective), future)
}

/// The deadline that a call's headers ask for, within the server's own limit.
pub(crate) fn of_call(headers: &HeaderMap, limit: Duration) -> Result<Deadline, Refusal> {
    let Some(value) = headers.get(GRPC_TIMEOUT) else { return Ok(Deadline::after(limit)) };
    let timeout = value.to_str().ok().and_then(parse_grpc_timeout).ok_or_else(|| {
        Refusal::new(Reason::MalformedRequest, "grpc-timeout must be up to 8 digits and one of H, M, S, m, u, n.")
    })?;
    Ok(Deadline::after(timeout.min(limit)))
}

/// `TimeoutValue TimeoutUnit` of the gRPC protocol over HTTP/2.
fn parse_grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > MAX_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocols_units_are_read() {
        assert_eq!(parse_grpc_timeout("2H"), Some(Duration::from_hours(2)));
        assert_eq!(parse_grpc_timeout("3M"), Some(Duration::from_mins(3)));
        assert_eq!(parse_grpc_timeout("4S"), Some(Duration::from_secs(4)));
        assert_eq!(parse_grpc_timeout("5m"), Some(Duration::from_millis(5)));
        assert_eq!(parse_grpc_timeout("6u"), Some(Duration::from_micros(6)));
        assert_eq!(parse_grpc_timeout("99999999n"), Some(Duration::from_nanos(99_999_999)));
    }

    #[test]
    fn what_the_protocol_does_not_allow_is_refused() {
        for text in ["", "S", "5", "5s", "-1S", "+1S", "1.5S", "100000000n", "1µ", "5 S"] {
            assert_eq!(parse_grpc_timeout(text), None, "{text:?}");
        }
    }

    #[tokio::test]
    async fn an_inner_scope_only_shortens() {
        let outer = Deadline::after(Duration::from_secs(1));
        let later = Deadline::after(Duration::from_secs(9));
        let sooner = Deadline::after(Duration::from_millis(1));
        assert_eq!(current(), None);
        scope(outer, async {
            assert_eq!(scope(later, async { current() }).await, Some(outer));
            assert_eq!(scope(sooner, async { current() }).await, Some(sooner));
        })
        .await;
    }

    #[tokio::test]
    async fn a_restart_holds_for_the_rest_of_the_request() {
        let (first, second) = (Deadline::after(Duration::from_secs(1)), Deadline::after(Duration::from_secs(9)));
        scope(first, async {
            assert_eq!(current(), Some(first));
            restart(second);
            assert_eq!(current(), Some(second));
        })
        .await;
        restart(first);
        assert_eq!(current(), None);
    }
}
