//! How the workers turn: work, then a pause that ends early when there is something new, until the process leaves.

use std::{future::Future, time::Duration};

use shop_types::Instant;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Error;

/// The longest pause: within it, what other processes left is found.
pub(super) const IDLE: Duration = Duration::from_secs(1);
/// The shortest, so that a clock that has not quite come does not make a worker spin.
const SHORTEST: Duration = Duration::from_millis(10);
/// After a failure of the database.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The pause until the next known moment by the database's clock.
pub(super) fn pause_until(next: Option<Instant>, now: Instant) -> Duration {
    next.map_or(IDLE, |next| next.since(now)).clamp(SHORTEST, IDLE)
}

/// Turns until `stop`. A turn says how long to pause before the next.
pub(super) async fn turn<F>(name: &'static str, stop: CancellationToken, wake: &Notify, mut work: impl FnMut() -> F)
where
    F: Future<Output = Result<Duration, Error>>,
{
    while !stop.is_cancelled() {
        let pause = match work().await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::warn!(
                    worker.name = name,
                    error = &error as &dyn std::error::Error,
                    "a worker failed and turns again"
                );
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_has_bounds() {
        let now = Instant::from_micros(1_000_000_000);
        assert_eq!(pause_until(None, now), IDLE);
        assert_eq!(pause_until(Some(now), now), SHORTEST);
        assert_eq!(pause_until(Some(now.plus(Duration::from_millis(70))), now), Duration::from_millis(70));
        assert_eq!(pause_until(Some(now.plus(Duration::from_secs(70))), now), IDLE);
    }
}
