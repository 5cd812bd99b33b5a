//! shop-standalone.
