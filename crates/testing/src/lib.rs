//! What the tests of more than one crate stand on: a database, or a whole server, of their own on whichever engine is
//! tested.
//!
//! Only tests depend on this crate. Whatever goes wrong here fails the test.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod database;
mod schema;
mod server;

pub use database::{SERVER_VARIABLE, TestDatabase};
pub use schema::assert_schema;
pub use server::OwnServer;
