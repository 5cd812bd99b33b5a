//! The operator against a real API server, etcd and controllers, and a real Consul. There is no kubelet: the tests say what
//! becomes of pods.
//!
//! What an operator must survive is a list of rows; each is a test here whose name begins with the row's number. Those in
//! which nodes have a part are in `e2e/` as well, on a cluster that has some.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in what tests share too")]

mod edits;
mod fields;
mod leader;
mod many;
mod namesakes;
mod operations;
mod plan;
mod progress;
mod quiet;
mod registry;
mod schema;
mod secrets;
mod support;
mod upgrades;
mod watches;
