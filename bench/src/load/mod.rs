//! An open-loop load generator: requests go out when they are due, whether or not earlier ones were answered, as from
//! clients that know nothing of one another. Latency counts from the moment a request was due, so that a server that
//! stalls can't hide it by keeping the generator from asking ("coordinated omission", Gil Tene). What can't be sent in time
//! is counted as dropped, and never sent late.
//!
//! ```text
//! Plan ─ prepare ─▶ accounts, catalogue, stock
//!      └ start ───▶ pacer thread: Shape → due times ─▶ one task a request ─▶ bounded connections ─▶ gateways
//!                                                                       └─▶ Report
//! ```

mod command;
mod connections;
mod crowd;
mod error;
mod measure;
mod mix;
mod plan;
mod report;
mod request;
mod run;
mod shape;
mod visit;

pub use command::LoadCommand;
pub use error::LoadError;
pub use mix::{Mix, Operation};
pub use plan::{Credentials, KeyedRetry, Plan};
pub use report::{AnswerCount, OperationReport, Percentiles, Report, Second, Snapshot};
pub use run::Load;
pub use shape::{Arrivals, Shape};
