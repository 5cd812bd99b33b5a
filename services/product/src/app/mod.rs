//! What the service does: use cases over the domain and the store, each write one transaction.

mod catalogue;
mod categories;
mod error;
mod inventory;
mod lapse;
mod reservations;
mod seed;

pub(crate) use catalogue::{Catalogue, ListQuery};
pub(crate) use categories::Categories;
pub(crate) use error::Error;
pub(crate) use inventory::Inventory;
pub(crate) use lapse::release_lapsed;
pub(crate) use reservations::Reservations;
pub use seed::{SeedCategory, SeedError, SeedProduct, Seeded, seed};
