//! Entities and queries of product's database. Every function runs on a connection or transaction that the caller has.

pub(crate) mod audit;
pub(crate) mod categories;
mod entity;
pub(crate) mod inventory;
pub(crate) mod listing;
pub(crate) mod products;
pub(crate) mod reservations;
