//! The gateway over HTTP, in front of a stand-in for the services whose answers each test writes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in what its functions share too")]

mod access;
mod bodies;
mod browsers;
mod catalogue;
mod documents;
mod edge;
mod encoding;
mod events;
mod kept;
mod limits;
mod malformed;
mod outage;
mod problems;
mod proxies;
mod support;
mod translation;
