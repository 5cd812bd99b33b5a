//! How many calls may be repeated.

use std::sync::atomic::{AtomicU32, Ordering};

/// What a call adds and a retry takes, in tenths: when an upstream is in trouble, retries add a tenth to its load and no
/// more. Counted by calls rather than by time, as in gRFC A6, so that slowness alone earns no retries.
const CALL: u32 = 1;
const RETRY: u32 = 10;

/// A full budget is a hundred retries: all that one lost instance can owe when it breaks under a hundred calls at once.
const FULL: u32 = 100 * RETRY;

/// A token bucket: full at first, refilled by calls, emptied by retries.
#[derive(Debug)]
pub(crate) struct RetryBudget(AtomicU32);

impl RetryBudget {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(FULL))
    }

    /// Counts a call.
    pub(crate) fn deposit(&self) {
        // Full is the rule, and then nothing is written.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tenths| (tenths < FULL).then_some(tenths + CALL));
    }

    /// Pays for a retry, if there is enough.
    pub(crate) fn withdraw(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tenths| tenths.checked_sub(RETRY)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spend(budget: &RetryBudget) -> usize {
        std::iter::repeat_with(|| budget.withdraw()).take_while(|paid| *paid).count()
    }

    #[test]
    fn a_tenth_of_the_calls_and_the_reserve() {
        let budget = RetryBudget::new();
        budget.deposit();
        assert_eq!(spend(&budget), 100);
        for _ in 0..95 {
            budget.deposit();
        }
        assert_eq!(spend(&budget), 9);
        for _ in 0..100_000 {
            budget.deposit();
        }
        assert_eq!(spend(&budget), 100);
    }
}
