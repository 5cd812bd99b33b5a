//! shop-discovery.
