//! For tests: a Kubernetes without nodes, of the real components: etcd, the API server, and those controllers that make
//! pods of Deployments and Jobs and collect what has no owner any more. What a kubelet does, tests do themselves. And a
//! proxy in front of it, which fails as networks and API servers do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in what tests share too")]

mod asked;
mod keeper;
mod proxy;
mod server;
mod tools;
mod watching;

pub use asked::{Asked, Verb};
pub use proxy::{Fault, Proxy};
pub use server::Kubernetes;
pub use tools::{TOOLS_VARIABLE, tools};
