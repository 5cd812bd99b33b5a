//! A client of Consul: registering with an agent or in the catalogue, healthy instances, keys and their changes.
//!
//! It stands on `consulrs`, of whose habits nothing comes through: calls have a time and their answers a size, a panic in
//! it is an error, and what it logs of every call is dropped. What to make of an instance or a key is up to the callers.

mod address;
mod agent;
mod catalog;
mod client;
mod error;
mod files;
mod health;
mod kv;
mod node;
mod status;
mod transport;

pub use address::{ConsulAddress, InvalidConsulAddress};
pub use agent::{AgentRegistration, TtlCheck};
pub use catalog::CatalogRegistration;
pub use client::{Authority, Client, ClientOptions, Indexed, Token, Wait};
pub use error::Error;
pub use health::{Instances, ServiceInstance};
pub use node::{NodeEntry, NodeService};
pub use status::Status;
