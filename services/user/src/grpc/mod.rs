//! The contract's service: convert the request, call the use case, convert the answer. No rule of the shop lives here.

mod convert;
mod service;
mod status;

pub(crate) use service::Users;
