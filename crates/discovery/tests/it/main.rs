//! Tests of the pool on real sockets, against servers whose every answer is decided by the test.

mod balance;
mod bounds;
mod ejection;
mod headers;
mod membership;
mod retry;
mod support;
