//! The user service through gRPC: a real server on a free port, real tokens, a database of its own for each test.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on fails, in what its functions share too"
)]
#![expect(clippy::unnecessary_wraps, reason = "a token is optional everywhere, since nobody has none")]

mod access;
mod accounts;
mod addresses;
mod administration;
mod command;
mod feed;
mod harness;
mod login;
mod refresh;
mod replicas;
mod schema;
mod throttle;
mod tokens;
