//! shop-product.
