//! Key files and their rotation.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use serde_json::Value;
use shop_auth::{
    CLOCK_LEEWAY, KeyBundle, MAX_USER_TOKEN_TTL, Revocations, ServiceSigner, UserTokenSigner, Verifier,
    keys::{self, KeyPaths, PUBLISH_LEAD},
};
use shop_types::Instant;

use crate::{FIVE_MINUTES, ISSUERS, SHOP, Shop, customer, eventually, read_json};

fn ago(duration: Duration) -> Instant {
    Instant::from_micros(Instant::now().as_micros() - i64::try_from(duration.as_micros()).unwrap())
}

fn kid_of(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

#[test]
fn private_files_are_for_their_owner_and_the_bundle_holds_no_secret() {
    let shop = Shop::new();
    for issuer in ISSUERS {
        let mode = fs::metadata(shop.paths.signing_keys(issuer)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{issuer}");
    }
    let bundle = fs::read_to_string(shop.paths.bundle()).unwrap();
    assert!(!bundle.contains("\"d\""));
    let private = read_json(&shop.paths.signing_keys("user"));
    assert!(!bundle.contains(private["keys"][0]["d"].as_str().unwrap()));
    assert!(
        fs::read_dir(shop.path()).unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().ends_with("tmp"))
    );
}

#[test]
fn making_keys_again_keeps_those_that_are_there() {
    let shop = Shop::new();
    let before = fs::read_to_string(shop.paths.signing_keys("order")).unwrap();
    fs::remove_file(shop.paths.bundle()).unwrap();
    fs::remove_file(shop.paths.signing_keys("product")).unwrap();
    keys::create(shop.path(), &ISSUERS).unwrap();
    assert_eq!(fs::read_to_string(shop.paths.signing_keys("order")).unwrap(), before);
    let token = shop.users().sign(&customer(), FIVE_MINUTES).unwrap();
    assert!(shop.verifier("order").verify(&token).is_ok());
    assert!(shop.paths.signing_keys("product").exists());
}

#[test]
fn an_issuers_name_can_not_leave_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["", "../user", "user/../x", "User", "user.keys"] {
        assert!(keys::create(dir.path(), &[name]).is_err(), "{name}");
    }
}

#[test]
fn the_key_set_shows_one_issuers_public_keys() {
    let shop = Shop::new();
    let jwks: Value = serde_json::from_str(&shop.bundle().jwks_json("user")).unwrap();
    let keys = jwks["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    let members: Vec<_> = keys[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x"]);
    assert_eq!((keys[0]["kty"].as_str(), keys[0]["crv"].as_str()), (Some("OKP"), Some("Ed25519")));
}

#[test]
fn a_rotation_publishes_then_signs_then_retires() {
    let shop = Shop::new();
    let in_flight = shop.users().sign(&customer(), FIVE_MINUTES).unwrap();

    // Just published: known to verifiers, not signed with.
    let rotation = keys::rotate(shop.path(), "user", Instant::now()).unwrap();
    let token = shop.users().sign(&customer(), FIVE_MINUTES).unwrap();
    assert_eq!(kid_of(&token), kid_of(&in_flight));
    assert!(shop.bundle().jwks_json("user").contains(&rotation.kid));
    assert_eq!(keys::rotate(shop.path(), "user", Instant::now()).unwrap(), rotation, "one step at a time");

    // As it is once the lead has passed: the new key signs, and both verify.
    let shop = Shop::new();
    let in_flight = shop.users().sign(&customer(), FIVE_MINUTES).unwrap();
    let rotation = keys::rotate(shop.path(), "user", ago(PUBLISH_LEAD)).unwrap();
    let token = shop.users().sign(&customer(), FIVE_MINUTES).unwrap();
    assert_eq!(kid_of(&token), rotation.kid);
    let verifier = shop.verifier("order");
    assert!(verifier.verify(&token).is_ok() && verifier.verify(&in_flight).is_ok());

    // As it is once the old key's last token has expired: it is gone, from the bundle with the next step.
    let shop = Shop::new();
    let in_flight = shop.users().sign(&customer(), FIVE_MINUTES).unwrap();
    let long_ago = ago(PUBLISH_LEAD + MAX_USER_TOKEN_TTL + CLOCK_LEEWAY);
    let rotation = keys::rotate(shop.path(), "user", long_ago).unwrap();
    let token = shop.users().sign(&customer(), FIVE_MINUTES).unwrap();
    assert_eq!(kid_of(&token), rotation.kid);
    let verifier = shop.verifier("order");
    assert!(verifier.verify(&token).is_ok() && verifier.verify(&in_flight).is_err());
    assert!(!shop.bundle().jwks_json("user").contains(&kid_of(&in_flight)));
    keys::rotate(shop.path(), "user", Instant::now()).unwrap();
    assert!(!fs::read_to_string(shop.paths.bundle()).unwrap().contains(&kid_of(&in_flight)));
}

#[test]
fn rotating_one_issuer_leaves_the_others() {
    let shop = Shop::new();
    let before = fs::read_to_string(shop.paths.signing_keys("order")).unwrap();
    keys::rotate(shop.path(), "user", ago(PUBLISH_LEAD)).unwrap();
    assert_eq!(fs::read_to_string(shop.paths.signing_keys("order")).unwrap(), before);
    let value = shop.service("order").bearer("product").unwrap();
    assert!(shop.verifier("product").verify(&value.to_str().unwrap()[7..]).is_ok());
}

#[test]
fn rotations_at_the_same_time_do_not_lose_each_others_keys() {
    let shop = Shop::new();
    std::thread::scope(|scope| {
        for issuer in ISSUERS {
            let dir = shop.path();
            scope.spawn(move || keys::rotate(dir, issuer, ago(PUBLISH_LEAD)).unwrap());
        }
    });
    for issuer in ISSUERS {
        let jwks: Value = serde_json::from_str(&shop.bundle().jwks_json(issuer)).unwrap();
        assert_eq!(jwks["keys"].as_array().unwrap().len(), 2, "{issuer}");
    }
}

#[tokio::test]
async fn running_processes_take_up_a_rotation() {
    let shop = Shop::new();
    let (users, verifier) = (shop.users(), shop.verifier("order"));
    let in_flight = users.sign(&customer(), FIVE_MINUTES).unwrap();
    assert!(verifier.verify(&in_flight).is_ok());
    let rotation = keys::rotate(shop.path(), "user", ago(PUBLISH_LEAD)).unwrap();
    eventually("signing with the new key", || kid_of(&users.sign(&customer(), FIVE_MINUTES).unwrap()) == rotation.kid)
        .await;
    let token = users.sign(&customer(), FIVE_MINUTES).unwrap();
    eventually("verifying with the new key", || verifier.verify(&token).is_ok()).await;
    assert!(verifier.verify(&in_flight).is_ok());
}

#[tokio::test]
async fn a_key_taken_out_of_the_bundle_takes_remembered_tokens_along() {
    let shop = Shop::new();
    let verifier = shop.verifier("order");
    let token = shop.users().sign(&customer(), FIVE_MINUTES).unwrap();
    assert!(verifier.verify(&token).is_ok());
    fs::remove_file(shop.paths.signing_keys("user")).unwrap();
    keys::create(shop.path(), &["user"]).unwrap();
    eventually("refusing the stolen key", || verifier.verify(&token).is_err()).await;
}

#[tokio::test]
async fn a_broken_or_missing_file_keeps_the_last_good_keys() {
    let shop = Shop::new();
    let verifier = shop.verifier("order");
    let users = shop.users();
    let good = fs::read(shop.paths.bundle()).unwrap();
    for broken in [&b"{"[..], b"{\"keys\": [{}]}", b""] {
        fs::write(shop.paths.bundle(), broken).unwrap();
        let until = std::time::Instant::now() + Duration::from_millis(1_200);
        eventually("a second of use", || {
            assert!(verifier.verify(&users.sign(&customer(), FIVE_MINUTES).unwrap()).is_ok());
            std::time::Instant::now() > until
        })
        .await;
    }
    fs::write(shop.paths.bundle(), good).unwrap();
    keys::rotate(shop.path(), "user", ago(PUBLISH_LEAD)).unwrap();
    let token = shop.users().sign(&customer(), FIVE_MINUTES).unwrap();
    eventually("taking up the repaired file", || verifier.verify(&token).is_ok()).await;
}

#[test]
fn key_ids_nobody_published_cause_one_reload_in_ten_seconds() {
    let shop = Shop::new();
    let verifier = shop.verifier("order");
    // Looked at just now, so a change is not noticed by itself for a second.
    assert!(verifier.verify(&shop.users().sign(&customer(), FIVE_MINUTES).unwrap()).is_ok());
    keys::rotate(shop.path(), "user", ago(PUBLISH_LEAD)).unwrap();
    let token = shop.users().sign(&customer(), FIVE_MINUTES).unwrap();
    assert!(verifier.verify(&token).is_ok(), "the first unknown key id reads the file at once");

    fs::remove_file(shop.paths.signing_keys("order")).unwrap();
    keys::create(shop.path(), &["order"]).unwrap();
    let value = ServiceSigner::new(&shop.paths.options("order"), "order", SHOP).unwrap().bearer("order").unwrap();
    assert!(verifier.verify(&value.to_str().unwrap()[7..]).is_err(), "the second waits for the file's next look");
}

#[test]
fn a_clock_that_was_set_back_leaves_a_key_to_sign_with() {
    let shop = Shop::new();
    let path = shop.paths.signing_keys("user");
    let mut file = read_json(&path);
    file["keys"][0]["sign_from"] = "2999-01-01T00:00:00Z".into();
    fs::write(&path, file.to_string()).unwrap();
    let token = shop.users().sign(&customer(), FIVE_MINUTES).unwrap();
    assert!(shop.verifier("order").verify(&token).is_ok());
}

#[test]
fn what_is_no_key_file_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let paths = KeyPaths::new(dir.path());
    let missing = KeyBundle::load(&paths.bundle()).unwrap_err().to_string();
    assert!(missing.contains("bundle.json"), "{missing}");
    fs::write(paths.signing_keys("user"), "{\"issuer\":\"user\",\"keys\":[{\"d\":\"c2VjcmV0\"}]}").unwrap();
    let invalid = UserTokenSigner::new(&paths.options("user"), SHOP).err().unwrap().to_string();
    assert!(invalid.contains("user.keys.json") && !invalid.contains("c2VjcmV0"), "{invalid}");
}

#[test]
fn a_bundle_with_another_kind_of_key_is_refused() {
    let shop = Shop::new();
    let text = fs::read_to_string(shop.paths.bundle()).unwrap();
    for (from, to) in [("Ed25519", "X25519"), ("EdDSA", "HS256"), ("OKP", "oct")] {
        fs::write(shop.paths.bundle(), text.replace(from, to)).unwrap();
        assert!(KeyBundle::load(&shop.paths.bundle()).is_err(), "{to}");
    }
    fs::write(shop.paths.bundle(), text).unwrap();
    let _ = Verifier::new(shop.bundle(), "order", SHOP, Revocations::local());
}
