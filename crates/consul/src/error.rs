//! What goes wrong between us and Consul, in words that say what to do.

use std::{path::PathBuf, time::Duration};

use thiserror::Error;

/// Why there is no answer, or none that can be used.
#[derive(Debug, Error)]
pub enum Error {
    /// No connection, or one that broke.
    #[error("Consul at {address} can't be reached: check that it runs, and --consul-address (SHOP_CONSUL_ADDRESS)")]
    Unreachable {
        /// Where it should be.
        address: String,
        /// What the client says.
        source: reqwest_consul::Error,
    },
    /// It accepted the call and said nothing.
    #[error("Consul at {address} did not answer {request} within {limit:?}")]
    TimedOut {
        /// Where it is.
        address: String,
        /// What was asked.
        request: String,
        /// How long it had.
        limit: Duration,
    },
    /// The token is not enough, or not known.
    #[error(
        "Consul refuses {request}: the ACL token (SHOP_CONSUL_TOKEN or SHOP_CONSUL_TOKEN_FILE) is missing, unknown or \
         lacks a rule; docs/OPERATIONS.md has the policy that is needed. Consul says: {message}"
    )]
    Denied {
        /// What was asked.
        request: String,
        /// What Consul says.
        message: String,
    },
    /// The agent has no such service or check.
    #[error("Consul knows nothing of what {request} is about")]
    NotFound {
        /// What was asked.
        request: String,
    },
    /// Another failure that Consul reports; of 500s most pass, such as an election among the servers.
    #[error("Consul answered {request} with {status}: {message}")]
    Failed {
        /// What was asked.
        request: String,
        /// The HTTP status.
        status: u16,
        /// What Consul says.
        message: String,
    },
    /// What answers is not Consul, or speaks in a way we don't know.
    #[error("the answer to {request} is not Consul's: check what listens at {address}")]
    NotConsul {
        /// Where it came from.
        address: String,
        /// What was asked.
        request: String,
        /// What could not be read, where it was read.
        source: Option<serde_json::Error>,
    },
    /// The answer is larger than any of Consul's should be.
    #[error("the answer to {request} is larger than {limit} bytes")]
    TooLarge {
        /// What was asked.
        request: String,
        /// The bound.
        limit: usize,
    },
    /// A file that was named can't be used.
    #[error("{path} can't be used as {purpose}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What for.
        purpose: &'static str,
        /// Why not.
        reason: String,
    },
    /// The client library can't do as it is told.
    #[error("the client of Consul failed")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A bug in the client library.
    #[error("the client library panicked on {request}: {message}")]
    Panicked {
        /// What was asked.
        request: String,
        /// The panic's message.
        message: String,
    },
}

impl Error {
    /// Whether Consul, or the way to it, is to blame rather than what it is asked: it passes, and everything else that is
    /// asked at that time fails as well.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::NotConsul { .. } | Self::TooLarge { .. } => true,
            Self::Failed { status, .. } => *status >= 500 || *status == 429,
            Self::Denied { .. }
            | Self::NotFound { .. }
            | Self::File { .. }
            | Self::Client(_)
            | Self::Panicked { .. } => false,
        }
    }
}
