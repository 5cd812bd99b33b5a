//! A log line for what others can cause as often as they like.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// One line in this time.
const INTERVAL: Duration = Duration::from_secs(10);

/// Lets something be said now and then, and counts what was not.
#[derive(Debug)]
pub(crate) struct Throttle {
    started: Instant,
    /// Milliseconds from the start until it may be said again.
    next: AtomicU64,
    unsaid: AtomicU64,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), next: AtomicU64::new(0), unsaid: AtomicU64::new(0) }
    }

    /// Whether it may be said now; then with how often it was not since the last time.
    pub(crate) fn turn(&self) -> Option<u64> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let now = millis(self.started.elapsed());
        let next = now.saturating_add(millis(INTERVAL));
        let taken =
            self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| (due <= now).then_some(next)).is_ok();
        if taken {
            Some(self.unsaid.swap(0, Ordering::Relaxed))
        } else {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_often_is_said_once_and_counted() {
        let throttle = Throttle::new();
        assert_eq!(throttle.turn(), Some(0));
        assert_eq!((throttle.turn(), throttle.turn()), (None, None));
        throttle.next.store(0, Ordering::Relaxed);
        assert_eq!(throttle.turn(), Some(2));
    }
}
