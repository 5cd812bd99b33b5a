//! shop-order.
