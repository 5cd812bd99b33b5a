//! Certificates and the files they are kept in.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use shop_server::TlsOptions;
use tempfile::TempDir;

/// A CA.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Pair {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for an hour.
    pub(crate) fn issue(&self, name: &str) -> Pair {
        self.issue_until(name, SystemTime::now() + Duration::from_hours(1))
    }

    pub(crate) fn issue_until(&self, name: &str, end: SystemTime) -> Pair {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = (SystemTime::now() - Duration::from_hours(2)).into();
        params.not_after = end.into();
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Pair { cert: cert.pem(), key: key.serialize_pem() }
    }
}

/// The three files of a process, in a folder of their own.
pub(crate) struct Files {
    folder: TempDir,
}

impl Files {
    pub(crate) fn new(pair: &Pair, trusted: &[&Authority]) -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        files.identify(pair);
        files.trust(trusted);
        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn identify(&self, Pair { cert, key }: &Pair) {
        put(&self.path("tls.crt"), cert);
        put(&self.path("tls.key"), key);
    }

    pub(crate) fn trust(&self, authorities: &[&Authority]) {
        let bundle: String = authorities.iter().map(|authority| authority.pem.as_str()).collect();
        put(&self.path("ca.crt"), &bundle);
    }

    /// Connections live for two seconds or less, so that tests see them replaced.
    pub(crate) fn options(&self) -> TlsOptions {
        TlsOptions {
            tls_cert_file: Some(self.path("tls.crt")),
            tls_key_file: Some(self.path("tls.key")),
            tls_ca_file: Some(self.path("ca.crt")),
            tls_connection_age: Duration::from_secs(2),
        }
    }
}

fn put(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}
