//! How much the shop carries: a load generator, as a program (`load`) and as a library for the tests that disturb a shop
//! while it is used.
//!
//! It knows the shop by its HTTP interface alone.

pub mod load;
