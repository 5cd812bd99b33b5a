//! `shop-operator plan`: shows what applying a manifest would create, change and delete, and writes nothing. The API server
//! tries each write (dry run), with the rights of whoever asks; Consul is not looked at.

mod command;
mod diff;
mod manifest;
mod text;

pub use command::PlanOptions;
pub use diff::unified;
