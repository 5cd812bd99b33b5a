//! Tokens and TLS.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use shop_consul::{Authority, Client, ClientOptions, Error, Token};
use shop_testing_consul::{Consul, ConsulOptions, TlsFiles, free_address};
use tempfile::TempDir;

#[tokio::test]
async fn a_token_is_needed_may_come_from_a_file_and_may_be_exchanged() {
    let consul = Consul::start_with(ConsulOptions { acl: true, ..ConsulOptions::default() }).await;
    let address: shop_consul::ConsulAddress = consul.url().parse().unwrap();
    let with = |token| Client::new(ClientOptions { address: address.clone(), token, authority: Authority::System });

    let denied = with(Token::Anonymous).set_key("a", vec![1]).await.unwrap_err();
    assert!(matches!(denied, Error::Denied { .. }) && !denied.is_outage(), "{denied:?}");
    assert!(denied.to_string().contains("SHOP_CONSUL_TOKEN"), "{denied}");

    let folder = TempDir::new().unwrap();
    let file = folder.path().join("token");
    let client = with(Token::File(file.clone()));
    let missing = client.set_key("a", vec![1]).await.unwrap_err();
    assert!(matches!(missing, Error::File { .. }) && missing.to_string().contains("token"), "{missing:?}");
    fs::write(&file, "two\nlines").unwrap();
    assert!(matches!(client.set_key("a", vec![1]).await.unwrap_err(), Error::File { .. }));

    let writes_b = consul.token("writes-b", r#"key "b" { policy = "write" }"#).await;
    fs::write(&file, format!("{writes_b}\n")).unwrap();
    assert!(matches!(client.set_key("a", vec![1]).await.unwrap_err(), Error::Denied { .. }));
    client.set_key("b", vec![1]).await.unwrap();

    let writes_a = consul.token("writes-a", r#"key "a" { policy = "write" }"#).await;
    fs::write(&file, &writes_a).unwrap();
    client.set_key("a", vec![1]).await.unwrap();
    with(Token::Given(writes_a.into())).set_key("a", vec![2]).await.unwrap();
}

struct Issuer(CertifiedIssuer<'static, KeyPair>);

impl Issuer {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn write(&self, file: &Path) {
        fs::write(file, self.0.pem()).unwrap();
    }

    fn issue(&self, name: &str, folder: &Path) -> TlsFiles {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        // One with the name of its issuer would pass for self-signed.
        params.distinguished_name.push(DnType::CommonName, name);
        let cert = params.signed_by(&key, &self.0).unwrap();
        let files = TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
        fs::write(&files.cert, cert.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }
}

#[tokio::test]
async fn only_a_consul_of_the_given_authority_is_spoken_to() {
    let folder = TempDir::new().unwrap();
    let (ours, theirs) = (Issuer::new("Ours"), Issuer::new("Theirs"));
    let (ca_file, other_ca) = (folder.path().join("ca.pem"), folder.path().join("other.pem"));
    theirs.write(&other_ca);

    let address = free_address();
    let tls = Some(ours.issue(&address.to_string(), folder.path()));
    let consul = Consul::start_at(address, ConsulOptions { tls, ..ConsulOptions::default() }).await;
    let url = format!("https://{}", consul.https_address());
    let trusting =
        |authority| Client::new(ClientOptions { address: url.parse().unwrap(), token: Token::Anonymous, authority });

    for unfit in [trusting(Authority::System), trusting(Authority::File(other_ca.clone()))] {
        let error = unfit.key("a", None).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    }
    let client = trusting(Authority::File(ca_file.clone()));
    let missing = client.key("a", None).await.unwrap_err();
    assert!(missing.to_string().contains("ca.pem"), "{missing}");
    fs::write(&ca_file, "no certificate").unwrap();
    assert!(matches!(client.key("a", None).await.unwrap_err(), Error::File { .. }));

    ours.write(&ca_file);
    client.key("a", None).await.unwrap();
    let given = trusting(Authority::Given(fs::read(&ca_file).unwrap()));
    given.key("a", None).await.unwrap();
    let nothing = trusting(Authority::Given(b"no certificate".to_vec()));
    assert!(matches!(nothing.key("a", None).await.unwrap_err(), Error::File { .. }));
    // Certificates of two authorities, as in a rotation.
    let both = fs::read_to_string(&other_ca).unwrap() + &fs::read_to_string(&ca_file).unwrap();
    fs::write(&ca_file, both).unwrap();
    client.key("a", None).await.unwrap();
    theirs.write(&ca_file);
    assert!(matches!(client.key("a", None).await.unwrap_err(), Error::Unreachable { .. }));
}
