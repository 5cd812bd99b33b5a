//! The product service through gRPC: a real server on a free port, real tokens, a database of its own for each test.

mod access;
mod audit;
mod catalogue;
mod concurrency;
mod harness;
mod inventory;
mod lapse;
mod listing;
mod matrix;
mod properties;
mod seed;
mod user;
