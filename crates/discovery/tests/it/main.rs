//! Tests of the pool on real sockets.
