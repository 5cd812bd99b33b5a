//! How one service reaches another: where its instances are ([`Resolver`], [`StaticResolver`]) and the client channel over
//! all of them ([`Pool`]), which balances, ejects what is not well, repeats what may be repeated, and bounds it all.
//!
//! Registration and dynamic configuration are not here.

mod attempt;
mod budget;
mod call;
mod connection;
mod member;
mod members;
mod metrics;
mod pool;
mod preface;
mod probe;
mod request;
mod resolver;
mod response;
mod target;
mod verdict;

pub use pool::{Pool, PoolOptions};
pub use resolver::{Address, Instance, InvalidAddress, Resolver, StaticResolver};
pub use response::ResponseBody;
pub use target::Target;
