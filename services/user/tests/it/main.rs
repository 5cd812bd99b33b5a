//! The user service through gRPC: a real server on a free port, real tokens, a database of its own for each test.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod access;
mod accounts;
mod addresses;
mod administration;
mod command;
mod feed;
mod harness;
mod login;
mod refresh;
mod throttle;
mod tokens;
