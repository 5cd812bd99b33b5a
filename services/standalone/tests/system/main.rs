//! The whole shop through its HTTP surface and its processes: what a customer, an operator and bad luck would do to it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on fails")]

mod access;
mod backup;
mod client;
mod configuration;
mod crash;
mod fleet;
mod hostile;
mod identity;
mod load;
mod malformed;
mod oversell;
mod payment_race;
mod process;
mod readme;
mod shop;
mod sink;
mod tour;

use std::time::Duration;

/// A number below `bound`, different every time.
fn random_below(bound: u64) -> u64 {
    u64::try_from(uuid::Uuid::new_v4().as_u128() % u128::from(bound)).unwrap()
}

/// How long work may stay in flight once nothing disturbs it any more: two leases of the test's shops, generously.
const SETTLE_BOUND: Duration = Duration::from_secs(30);
