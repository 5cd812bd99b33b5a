//! The order service through gRPC: real servers of user, product and order on free ports, real tokens, databases of its
//! own for each test.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on fails, in what its functions share too"
)]

mod access;
mod audit;
mod calls;
mod cancel;
mod create;
mod expiry;
#[cfg(feature = "failpoints")]
mod failpoints;
mod harness;
mod listing;
mod outage;
mod payment;
mod races;
mod refund;
mod relay;
mod replicas;
mod schema;
mod transitions;
mod watch;
mod webhook;
