//! Identity: who calls, proved by signed tokens, and what the contracts' access table lets them do.
//!
//! [`keys`] holds each issuer's Ed25519 keys and the bundle of public ones that every process mounts; [`UserTokenSigner`]
//! and [`ServiceSigner`] sign with them; [`Verifier`] checks; [`AccessLayer`] stands before every gRPC handler;
//! [`Revocations`] knows which tokens are void before their time, kept current by [`revocation::follow`].
//!
//! Accounts, passwords and refresh tokens are the user service's. Transport security is never identity here.

mod caller;
mod claims;
mod layer;
mod options;
mod sign;
mod verify;

pub mod keys;
pub mod revocation;

pub use caller::{Caller, Role, UnknownRole, UserCaller, caller};
pub use claims::{
    CLOCK_LEEWAY, MAX_TOKEN_BYTES, MAX_USER_TOKEN_TTL, SERVICE_TOKEN_TTL, USER_ISSUER, USER_TOKEN_AUDIENCE,
};
pub use keys::{KeyBundle, KeyError};
pub use layer::{AccessLayer, AccessService, bearer};
pub use options::AuthOptions;
pub use revocation::Revocations;
pub use sign::{ServiceSigner, SignError, UserTokenSigner};
pub use verify::Verifier;
