//! How one service reaches another: where its instances are ([`Resolver`]: [`StaticResolver`], or what [`Discovery`] finds)
//! and the client channel over all of them ([`Pool`]), which balances, ejects what is not well, repeats what may be
//! repeated, and bounds it all; how a process is found by the others, and the settings they all share.

mod attempt;
mod budget;
mod call;
mod connection;
mod discovery;
mod found;
mod inbound;
mod link;
mod lookout;
mod member;
mod members;
mod metrics;
mod names;
mod options;
mod pool;
mod probe;
mod registration;
mod request;
mod resolver;
mod response;
mod settings;
mod target;
mod verdict;

pub use discovery::{Discovery, DiscoveryError};
pub use options::{Advertised, DiscoveryOptions, InvalidAdvertised, Registration};
pub use pool::{Pool, PoolOptions};
pub use resolver::{Address, Instance, InvalidAddress, Resolver, StaticResolver};
pub use response::ResponseBody;
pub use shop_consul::{ConsulAddress, InvalidConsulAddress};
pub use target::Target;
