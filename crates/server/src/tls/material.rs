//! From three files to what handshakes are made with.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    CertificateError, ClientConfig, RootCertStore, ServerConfig,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, UnixTime,
        pem::{self, PemObject as _},
    },
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};

use super::options::Files;

/// HTTP/2, which is all that is spoken here.
const ALPN: &[u8] = b"h2";
/// A chain or a bundle of CAs is a few KiB.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// 9999-12-31, the last moment that a certificate can name (RFC 5280, section 4.1.2.5): by then every one has expired.
const END_OF_TIME: Duration = Duration::from_secs(253_402_300_799);

/// Why certificates can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("can't read {path} (set by {variable})")]
    Read {
        /// The file.
        path: PathBuf,
        /// The environment variable that names it.
        variable: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds something else, or nothing.
    #[error("{path} does not hold {expected} in PEM (set by {variable})")]
    Pem {
        /// The file.
        path: PathBuf,
        /// The environment variable that names it.
        variable: &'static str,
        /// What should be in it.
        expected: &'static str,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// The key is another certificate's, or one of them is half written.
    #[error("the certificate in {certificate} and the key in {key} don't belong together")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong with them.
        source: rustls::Error,
    },
    /// The certificates of the CA can't be used.
    #[error("the CA in {path} can't be used (set by SHOP_TLS_CA_FILE)")]
    Ca {
        /// The CA's file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Peers would refuse the certificate: it is not of the CA, for another name, or not for both ends of a connection.
    #[error("peers would not take the certificate in {path}")]
    Unacceptable {
        /// The certificate's file.
        path: PathBuf,
        /// What they would say.
        source: rustls::Error,
    },
}

/// The files as they were read, nothing understood yet.
pub(super) struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    ca: Vec<u8>,
}

impl Contents {
    pub(super) fn read(files: &Files) -> Result<Self, TlsError> {
        Ok(Self {
            cert: read(&files.cert, "SHOP_TLS_CERT_FILE")?,
            key: read(&files.key, "SHOP_TLS_KEY_FILE")?,
            ca: read(&files.ca, "SHOP_TLS_CA_FILE")?,
        })
    }

    /// Tells one state of the files from another without keeping the key.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.cert, &self.key, &self.ca).hash(&mut hasher);
        hasher.finish()
    }
}

fn read(path: &Path, variable: &'static str) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes))
        .map_err(|source| TlsError::Read { path: path.to_owned(), variable, source })?;
    Ok(bytes)
}

/// What handshakes are made with: one certificate, one set of CAs.
pub(super) struct Material {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
    /// When the certificate expires.
    pub(super) not_after: Duration,
}

impl Material {
    /// Understands the files. `serves` is the name that peers will ask for, if they will. An expired certificate is taken:
    /// that it is shows in every handshake, and the process is there when the next one comes.
    pub(super) fn new(contents: &Contents, files: &Files, serves: Option<&'static str>) -> Result<Self, TlsError> {
        let chain = certificates(&contents.cert, &files.cert, "SHOP_TLS_CERT_FILE")?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|source| TlsError::Pem {
            path: files.key.clone(),
            variable: "SHOP_TLS_KEY_FILE",
            expected: "a private key",
            source,
        })?;
        let roots = Arc::new(roots(&contents.ca, &files.ca)?);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let pair = |source| TlsError::Pair { certificate: files.cert.clone(), key: files.key.clone(), source };
        let ca = |source| TlsError::Ca { path: files.ca.clone(), source };

        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()
            .map_err(|error| ca(error.into()))?;
        let (own, intermediates) = chain.split_first().ok_or_else(|| no_certificate(files))?;
        let refused = |source| TlsError::Unacceptable { path: files.cert.clone(), source };
        acceptable(clients.verify_client_cert(own, intermediates, UnixTime::now()).map(drop)).map_err(refused)?;
        if let Some(name) = serves {
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()
                .map_err(|error| ca(error.into()))?;
            let name = ServerName::try_from(name).unwrap_or_else(|_| unreachable!("a service's name is a DNS name"));
            let outcome = verifier.verify_server_cert(own, intermediates, &name, &[], UnixTime::now());
            acceptable(outcome.map(drop)).map_err(refused)?;
        }
        let end_of_time = UnixTime::since_unix_epoch(END_OF_TIME);
        let not_after = expired_at(&clients.verify_client_cert(own, intermediates, end_of_time).map(drop));

        let accepting = server(&provider, clients, chain.clone(), key.clone_key()).map_err(pair)?;
        let connecting = client(provider, roots, chain, key).map_err(pair)?;
        Ok(Self {
            server: Arc::new(accepting),
            client: Arc::new(connecting),
            not_after: not_after.unwrap_or(END_OF_TIME),
        })
    }

    pub(super) fn has_expired(&self) -> bool {
        SystemTime::UNIX_EPOCH.elapsed().is_ok_and(|now| now > self.not_after)
    }
}

/// TLS 1.3, and 1.2 for who has no newer. Nothing is resumed: a resumed session would show no certificate again, and one
/// that was withdrawn or has expired would go on.
fn server(
    provider: &Arc<CryptoProvider>,
    clients: Arc<dyn rustls::server::danger::ClientCertVerifier>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn client(
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn certificates(pem: &[u8], path: &Path, variable: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let expected = "a certificate";
    let bad = |source| TlsError::Pem { path: path.to_owned(), variable, expected, source };
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(bad)?;
    if found.is_empty() { Err(bad(pem::Error::NoItemsFound)) } else { Ok(found) }
}

fn no_certificate(files: &Files) -> TlsError {
    TlsError::Pem {
        path: files.cert.clone(),
        variable: "SHOP_TLS_CERT_FILE",
        expected: "a certificate",
        source: pem::Error::NoItemsFound,
    }
}

fn roots(pem: &[u8], path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, path, "SHOP_TLS_CA_FILE")? {
        roots.add(certificate).map_err(|source| TlsError::Ca { path: path.to_owned(), source: source.into() })?;
    }
    Ok(roots)
}

/// What was verified, if nothing but the time is against it.
fn acceptable(verified: Result<(), rustls::Error>) -> Result<(), rustls::Error> {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    match verified {
        Err(rustls::Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
        )) => Ok(()),
        verified => verified,
    }
}

/// When the certificate expired, if that is why it was refused.
fn expired_at(verified: &Result<(), rustls::Error>) -> Option<Duration> {
    match verified {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Some(Duration::from_secs(not_after.as_secs()))
        }
        _ => None,
    }
}
