//! The crate through its public interface.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod feed;
mod forging;

mod layer;
mod rotation;
mod tokens;

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::Value;
use shop_auth::{
    Caller, KeyBundle, Revocations, Role, ServiceSigner, UserCaller, UserTokenSigner, Verifier,
    keys::{self, KeyPaths},
};
use shop_types::new_id;
use tempfile::TempDir;

const SHOP: &str = "shop-1";
const ISSUERS: [&str; 4] = ["user", "product", "order", "gateway"];
const FIVE_MINUTES: Duration = Duration::from_mins(5);

/// A folder with keys for every service of a shop.
struct Shop {
    dir: TempDir,
    paths: KeyPaths,
}

impl Shop {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let paths = keys::create(dir.path(), &ISSUERS).unwrap();
        let shop = Self { dir, paths };
        for issuer in ISSUERS {
            shop.age_keys(issuer);
        }
        shop
    }

    /// Lets the keys have been there for long, so that tests may place a rotation in the past.
    fn age_keys(&self, issuer: &str) {
        let path = self.paths.signing_keys(issuer);
        let mut file = read_json(&path);
        for member in ["published_at", "sign_from"] {
            file["keys"][0][member] = "2026-01-01T00:00:00Z".into();
        }
        std::fs::write(&path, file.to_string()).unwrap();
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn bundle(&self) -> KeyBundle {
        KeyBundle::load(&self.paths.bundle()).unwrap()
    }

    fn verifier(&self, service: &'static str) -> Verifier {
        self.verifier_with(service, Revocations::local())
    }

    fn verifier_with(&self, service: &'static str, revocations: Revocations) -> Verifier {
        Verifier::new(self.bundle(), service, SHOP, revocations)
    }

    fn users(&self) -> UserTokenSigner {
        UserTokenSigner::new(&self.paths.options("user"), SHOP).unwrap()
    }

    fn service(&self, name: &'static str) -> ServiceSigner {
        ServiceSigner::new(&self.paths.options(name), name, SHOP).unwrap()
    }

    /// The private key of an issuer, for tokens that no signer of ours would make.
    fn raw_key(&self, issuer: &str) -> (String, EncodingKey, Vec<u8>) {
        let file: Value = read_json(&self.paths.signing_keys(issuer));
        let key = &file["keys"][0];
        let bytes = |member: &str| URL_SAFE_NO_PAD.decode(key[member].as_str().unwrap()).unwrap();
        let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_and_public_key(&bytes("d"), &bytes("x")).unwrap();
        let private = EncodingKey::from_ed_der(pair.to_pkcs8().unwrap().as_ref());
        (key["kid"].as_str().unwrap().to_owned(), private, bytes("x"))
    }

    /// Signs any claims under any type with an issuer's own key.
    fn forge(&self, issuer: &str, typ: &str, claims: &Value) -> String {
        let (kid, key, _) = self.raw_key(issuer);
        let header = Header { typ: Some(typ.into()), kid: Some(kid), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn customer() -> UserCaller {
    user(Role::Customer)
}

fn user(role: Role) -> UserCaller {
    UserCaller { user_id: new_id(), session_id: new_id(), role, epoch: 3 }
}

fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// Waits for a condition, for ten seconds at most.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what} did not come about in ten seconds");
}

fn service_caller(name: &str) -> Caller {
    Caller::Service(name.to_owned())
}
