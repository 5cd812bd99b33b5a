//! Reads, writes, and repeats.
