//! Shops on a live cluster: `e2e/run` brings one up and runs these, the essential ones first.
//!
//! The operator is installed by its chart, so that it runs with the chart's rights and no others. Each test has a namespace of
//! its own, and says whether others may go on beside it; one that fails leaves logs, events and objects in a folder that it
//! names.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in what tests share too")]

mod charts;
mod essential;
mod examples;
mod numbers;
mod support;
mod survival;
