//! For tests: a real Consul that a test starts, stops, freezes and empties, alone or several servers, with ACLs or TLS if
//! it likes; and a proxy in front of it that fails in every way a network and a server can.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in what tests share too")]

mod agent;
mod binary;
mod policy;
mod proxy;

pub use agent::{Consul, ConsulOptions, TlsFiles, free_address};
pub use binary::binary;
pub use policy::MANAGEMENT_TOKEN;
pub use proxy::{Behaviour, Proxy};
