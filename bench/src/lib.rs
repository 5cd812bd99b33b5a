//! How much the shop carries, and what that costs: a load generator, as a program (`load`) and as a library for the tests
//! that disturb a shop while it is used; and a benchmark of CPU time and memory (`bench`).
//!
//! [`load`] knows the shop by its HTTP interface alone; [`cost`] starts its processes, and floors to hold them against.

pub mod cost;
pub mod load;
