//! Signing keys, certificates and settings are renewed while the shop is used.

use std::{path::Path, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::json;
use shop_auth::keys::{self, PUBLISH_LEAD};
use shop_bench::load::Mix;
use shop_types::Instant;

use super::{Consul, Fleet, Layout, SERVICES, load, server};
use crate::{SETTLE_BOUND, shop::Reached as _};

/// How long before it is signed with a new key is published here, instead of the usual minutes: longer than any file goes
/// unread.
const LEAD: Duration = Duration::from_secs(20);
/// How long the shop is used with what is new.
const USED: Duration = Duration::from_secs(15);

#[tokio::test]
async fn keys_certificates_and_settings_change_and_no_request_fails() {
    let Some(server) = server("SHOP_TEST_POSTGRES_URL") else { return };
    let consul = Consul::start().await;
    let folder = tempfile::tempdir().unwrap();
    let first = Authority::new("first");
    first.issue(folder.path(), &[&first]);
    let layout = Layout { user: 2, product: 2, order: 2, ..Layout::three(server) }.with_certificates(folder.path());
    let fleet = Fleet::start(layout, &consul).await;
    let load = load::on(&fleet, Mix::default()).await;

    // Keys: published, and signed with from a moment on.
    let keys_folder = fleet.folder().join("keys");
    let published = Instant::now();
    let earlier =
        Instant::from_micros(published.plus(LEAD).as_micros() - i64::try_from(PUBLISH_LEAD.as_micros()).unwrap());
    let mut kids = Vec::new();
    for issuer in SERVICES {
        kids.push(keys::rotate(&keys_folder, issuer, earlier).unwrap().kid);
    }

    // Certificates: both authorities are trusted, then the new one signs, then the old one is trusted no more.
    let second = Authority::new("second");
    for (issuer, trusted) in
        [(&first, vec![&first, &second]), (&second, vec![&first, &second]), (&second, vec![&second])]
    {
        issuer.issue(folder.path(), &trusted);
        tokio::time::sleep(USED).await;
    }
    consul.put("/v1/kv/shops/default/shop/config", &json!({"logLevel": "warn", "paymentTimeout": "20m"})).await;

    let left = LEAD.saturating_sub(Instant::now().since(published));
    tokio::time::sleep(left + USED).await;
    let report = load::all_served(load, &fleet).await;
    println!("served {} requests over the renewal", report.expected);
    let jwks = reqwest::get(format!("{}/.well-known/jwks.json", fleet.gateways()[0])).await.unwrap();
    assert!(jwks.text().await.unwrap().contains(&kids[0]), "the new key of user is published");
    let customer = crate::client::Client::customer(&fleet).await.0;
    let token = customer.token.unwrap();
    assert!(signed_with(&token) == kids[0], "user signs with the new key");
    assert!(fleet.keys().bundle().exists());
    fleet.settled_clean(SETTLE_BOUND).await;
}

/// The `kid` of a token.
fn signed_with(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

/// A certificate authority of the shop's own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Renews every service's certificate and who is trusted.
    fn issue(&self, folder: &Path, trusted: &[&Self]) {
        let authorities: String = trusted.iter().map(|authority| authority.0.pem()).collect();
        for service in SERVICES {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new([service.to_owned()]).unwrap();
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
            let certificate = params.signed_by(&key, &self.0).unwrap();
            replace(&folder.join(format!("{service}.key")), &key.serialize_pem());
            replace(&folder.join(format!("{service}.crt")), &certificate.pem());
            replace(&folder.join(format!("{service}-ca.crt")), &authorities);
        }
    }
}

/// Whoever reads the file finds the old text or the new.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}
