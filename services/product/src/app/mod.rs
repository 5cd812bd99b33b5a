//! What the service does: use cases over the domain and the store, each write one transaction.

mod catalogue;
mod error;
mod inventory;
mod lapse;
mod reservations;
mod seed;

pub(crate) use catalogue::{Catalogue, Key, ListQuery};
pub(crate) use error::Error;
pub(crate) use inventory::Inventory;
pub(crate) use lapse::release_lapsed;
pub(crate) use reservations::Reservations;
pub use seed::{SeedError, SeedProduct, Seeded, seed};
