//! shop-storage.
