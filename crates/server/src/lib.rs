//! shop-server.
