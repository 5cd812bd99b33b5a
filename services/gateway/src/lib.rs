//! shop-gateway.
