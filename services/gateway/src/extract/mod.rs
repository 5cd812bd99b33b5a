//! Extractors: what a handler takes from a request, parsed once, with every rejection a [`crate::problem::Problem`].
//!
//! Authorisation is judged before anything else of the request is looked at, so a handler names its caller first.

mod body;
mod caller;
mod header;
mod object;
mod path;
mod query;

pub(crate) use body::{Action, JsonBody, RawBody, longest_body};
pub(crate) use caller::{Admin, ClientAddress, SignedIn, Staff, Visitor};
pub(crate) use header::{IdempotencyKey, IfMatch, IfMatchIfAny, IfNoneMatch, LastEventId, WebhookSignature, etag};
pub(crate) use path::UrlPath;
pub(crate) use query::pairs;
pub(crate) use query::{NoQuery, UrlQuery};
