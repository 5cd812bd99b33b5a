//! shop-user.
