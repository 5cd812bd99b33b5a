//! Tests of the pool on real sockets, against servers whose every answer is decided by the test.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod authority;
mod balance;
mod bounds;
mod departure;
mod ejection;
mod headers;
mod membership;
mod real;
mod retry;
mod rolling;
mod support;
mod tls;
