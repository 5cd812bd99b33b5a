//! shop-auth.
