//! Where the certificates are.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::options::positive_duration;

/// A withdrawn CA or certificate is out of use after this long. A new connection costs a millisecond or so of work, so
/// that the price of it is nothing.
const CONNECTION_AGE: Duration = Duration::from_mins(5);

/// Mutual TLS between the services: all three files, or none.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Transport")]
pub struct TlsOptions {
    /// Certificate chain of this service, PEM, with the service's name (`user`) among its DNS names. With the key and the
    /// CA, every call between services is mutual TLS. The files are read again when they change.
    #[arg(long, env = "SHOP_TLS_CERT_FILE", value_name = "FILE", requires_all = ["tls_key_file", "tls_ca_file"])]
    pub tls_cert_file: Option<PathBuf>,

    /// Private key of the certificate, PEM.
    #[arg(long, env = "SHOP_TLS_KEY_FILE", value_name = "FILE", requires_all = ["tls_cert_file", "tls_ca_file"])]
    pub tls_key_file: Option<PathBuf>,

    /// CA certificates, PEM; a peer's certificate must be of one of them. Two while one replaces the other.
    #[arg(long, env = "SHOP_TLS_CA_FILE", value_name = "FILE", requires_all = ["tls_cert_file", "tls_key_file"])]
    pub tls_ca_file: Option<PathBuf>,

    /// Longest life of a connection under mutual TLS: after it nothing is left of a certificate or CA that was withdrawn.
    #[arg(long, env = "SHOP_TLS_CONNECTION_AGE", value_name = "DURATION", default_value = "5m", value_parser = positive_duration)]
    pub tls_connection_age: Duration,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self { tls_cert_file: None, tls_key_file: None, tls_ca_file: None, tls_connection_age: CONNECTION_AGE }
    }
}

/// The three files.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
    pub(super) ca: PathBuf,
}

impl TlsOptions {
    /// The command line sees to it that it is all or none.
    pub(super) fn files(&self) -> Option<Files> {
        let own = |path: &Option<PathBuf>| path.as_deref().map(Path::to_owned);
        Some(Files { cert: own(&self.tls_cert_file)?, key: own(&self.tls_key_file)?, ca: own(&self.tls_ca_file)? })
    }
}
