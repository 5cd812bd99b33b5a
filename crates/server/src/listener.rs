//! Ports that are bound before anything else is opened, so that a taken one is one clear line.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

use crate::tls::TlsError;

/// Why a server can't start or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken, not this machine's, or not permitted.
    #[error("can't listen on {address} for {purpose} (set by --{flag} or {variable})")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the port is for.
        purpose: &'static str,
        /// The flag that sets it.
        flag: &'static str,
        /// The environment variable that sets it.
        variable: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The certificates can't be used.
    #[error(transparent)]
    Tls(TlsError),
    /// The task that serves panicked: a bug.
    #[error("the {name} server stopped unexpectedly")]
    Stopped {
        /// The server's name.
        name: &'static str,
        /// How the task ended.
        source: tokio::task::JoinError,
    },
}

/// What a port is for, and the option that sets it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purpose {
    pub(crate) name: &'static str,
    pub(crate) flag: &'static str,
    pub(crate) variable: &'static str,
}

pub(crate) const ADMIN: Purpose =
    Purpose { name: "probes and metrics", flag: "admin-listen", variable: "SHOP_ADMIN_LISTEN" };
pub(crate) const GRPC: Purpose = Purpose { name: "gRPC", flag: "listen", variable: "SHOP_LISTEN" };
pub(crate) const HTTP: Purpose = Purpose { name: "HTTP", flag: "listen", variable: "SHOP_LISTEN" };

/// A listener with the address it got: with port 0 the system chooses.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) tcp: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Listener {
    pub(crate) async fn bind(address: SocketAddr, purpose: Purpose) -> Result<Self, ServerError> {
        let bound = async {
            let tcp = TcpListener::bind(address).await?;
            let address = tcp.local_addr()?;
            Ok(Self { tcp, address })
        };
        bound.await.map_err(|source| ServerError::Bind {
            address,
            purpose: purpose.name,
            flag: purpose.flag,
            variable: purpose.variable,
            source,
        })
    }
}
