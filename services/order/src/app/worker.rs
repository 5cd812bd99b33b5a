//! How the workers turn: work, then a pause that ends early when there is something new, until the process leaves.

use std::{future::Future, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt as _;
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

/// Passes on what was taken, and only then returns the first error: the leases of the others are held already.
pub(super) fn pass_on<T>(
    taken: impl IntoIterator<Item = Result<T, Error>>,
    mut to: impl FnMut(T),
) -> Result<(), Error> {
    let mut first_error = None;
    for taken in taken {
        match taken {
            Ok(value) => to(value),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// Turns until `stop`. A turn says how long to pause before the next; one that panics is followed by the next as well.
pub(super) async fn turn<F>(name: &'static str, stop: CancellationToken, wake: &Notify, mut work: impl FnMut() -> F)
where
    F: Future<Output = Result<Duration, Error>>,
{
    while !stop.is_cancelled() {
        let pause = match AssertUnwindSafe(async { work().await }).catch_unwind().await {
            Ok(Ok(pause)) => pause,
            Ok(Err(error)) => {
                tracing::warn!(
                    worker.name = name,
                    error = &error as &dyn std::error::Error,
                    "a worker failed and turns again"
                );
                AFTER_FAILURE
            }
            // What it says was written to the log by the panic hook.
            Err(_panic) => {
                tracing::error!(worker.name = name, "a worker panicked and turns again");
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
    fn an_error_holds_up_none_of_its_siblings() {
        let mut passed = Vec::new();
        let taken = [Ok(1), Err(Error::Leaving), Ok(2), Err(Error::Raced), Ok(3)];
        let result = pass_on(taken, |value| passed.push(value));
        assert!(matches!(result, Err(Error::Leaving)), "{result:?}");
        assert_eq!(passed, [1, 2, 3]);
    }

    #[tokio::test]
    async fn neither_an_error_nor_a_panic_ends_a_worker() {
        let (stop, mut turns) = (CancellationToken::new(), 0);
        let wake = Notify::new();
        turn("test", stop.clone(), &wake, || {
            turns += 1;
            wake.notify_one();
            let (turn, stop) = (turns, stop.clone());
            async move {
                match turn {
                    1 => panic!("the first turn"),
                    2 => Err(Error::Raced),
                    _ => {
                        stop.cancel();
                        Ok(IDLE)
                    }
                }
            }
        })
        .await;
        assert_eq!(turns, 3);
    }

    #[test]
    fn a_pause_has_bounds() {
        let now = Instant::from_micros(1_000_000_000);
        assert_eq!(pause_until(None, now), IDLE);
        assert_eq!(pause_until(Some(now), now), SHORTEST);
        assert_eq!(pause_until(Some(now.plus(Duration::from_millis(70))), now), Duration::from_millis(70));
        assert_eq!(pause_until(Some(now.plus(Duration::from_secs(70))), now), IDLE);
    }
}
