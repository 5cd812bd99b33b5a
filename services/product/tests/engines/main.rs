//! The product service through gRPC: a real server on a free port, real tokens, a database of its own for each test.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on fails, in what its functions share too"
)]

mod access;
mod audit;
mod catalogue;
mod categories;
mod concurrency;
mod harness;
mod inventory;
mod lapse;
mod listing;
mod matrix;
mod paging;
mod properties;
mod schema;
mod search;
mod seed;
mod user;
