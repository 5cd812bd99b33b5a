//! Entities and queries of user's database. Every function runs on a connection or transaction that the caller has.

pub(crate) mod addresses;
mod entity;
pub(crate) mod logins;
pub(crate) mod revocations;
pub(crate) mod sessions;
pub(crate) mod users;
