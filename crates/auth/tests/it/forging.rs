//! Tokens that must not be believed.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proptest::prelude::*;
use serde_json::{Value, json};
use shop_proto::status::Reason;
use shop_types::new_id;

use crate::{FIVE_MINUTES, SHOP, Shop, customer, unix_now};

const USER: &str = "at+jwt";
const SERVICE: &str = "svc+jwt";

fn user_claims() -> Value {
    let now = unix_now();
    json!({
        "iss": "user", "aud": "shop", "shop": SHOP, "sub": new_id(), "sid": new_id(), "role": "admin", "epoch": 0,
        "iat": now, "exp": now + 300, "jti": new_id(),
    })
}

fn service_claims() -> Value {
    let now = unix_now();
    json!({"iss": "order", "aud": "product", "shop": SHOP, "iat": now, "exp": now + 60, "jti": new_id()})
}

fn with(mut claims: Value, member: &str, value: Value) -> Value {
    claims[member] = value;
    claims
}

fn without(mut claims: Value, member: &str) -> Value {
    claims.as_object_mut().unwrap().remove(member);
    claims
}

fn refused(shop: &Shop, token: &str, what: &str) {
    let refusal = shop.verifier("product").verify(token).expect_err(what);
    assert_eq!(refusal.reason, Reason::InvalidToken, "{what}");
}

#[test]
fn what_the_forger_starts_from_is_good() {
    let shop = Shop::new();
    assert!(shop.verifier("product").verify(&shop.forge("user", USER, &user_claims())).is_ok());
    assert!(shop.verifier("product").verify(&shop.forge("order", SERVICE, &service_claims())).is_ok());
}

#[test]
fn wrong_claims_are_refused_whoever_signed_them() {
    let shop = Shop::new();
    let now = unix_now();
    let users = [
        ("aud", json!("product")),
        ("aud", json!(["shop"])),
        ("aud", json!(null)),
        ("iss", json!("order")),
        ("iss", json!(["user"])),
        ("shop", json!("shop-2")),
        ("role", json!("root")),
        ("sub", json!("not-a-uuid")),
        ("epoch", json!("0")),
        ("exp", json!(now - 10)),
        ("exp", json!(now + 7_200)),
        ("exp", json!(9.9e18)),
        ("exp", json!("tomorrow")),
        ("iat", json!(now + 60)),
        ("nbf", json!(now + 60)),
    ];
    for (member, value) in users {
        let what = format!("user token with {member} {value}");
        refused(&shop, &shop.forge("user", USER, &with(user_claims(), member, value)), &what);
    }
    for member in ["iss", "aud", "shop", "sub", "sid", "role", "epoch", "iat", "exp"] {
        let what = format!("user token without {member}");
        refused(&shop, &shop.forge("user", USER, &without(user_claims(), member)), &what);
    }
    let services = [
        ("aud", json!("user")),
        ("iss", json!("gateway")),
        ("iss", json!("user")),
        ("shop", json!("shop-2")),
        ("exp", json!(now - 10)),
        ("exp", json!(now + 600)),
        ("iat", json!(now + 60)),
    ];
    for (member, value) in services {
        let what = format!("service token with {member} {value}");
        refused(&shop, &shop.forge("order", SERVICE, &with(service_claims(), member, value)), &what);
    }
}

#[test]
fn a_clock_that_is_a_little_off_is_forgiven() {
    let shop = Shop::new();
    let now = unix_now();
    for (member, value) in [("exp", now - 2), ("iat", now + 2), ("nbf", now + 2)] {
        let token = shop.forge("user", USER, &with(user_claims(), member, json!(value)));
        assert!(shop.verifier("product").verify(&token).is_ok(), "{member}");
    }
}

#[test]
fn a_key_signs_for_its_own_issuer_and_kind_only() {
    let shop = Shop::new();
    refused(&shop, &shop.forge("order", USER, &user_claims()), "a service's key under a user token");
    refused(&shop, &shop.forge("order", USER, &with(user_claims(), "iss", json!("order"))), "an issuer of its own");
    refused(&shop, &shop.forge("user", SERVICE, &service_claims()), "the user key under a service token");
    let as_user = with(service_claims(), "iss", json!("user"));
    refused(&shop, &shop.forge("user", SERVICE, &as_user), "a service token of the user service");
    refused(&shop, &shop.forge("order", SERVICE, &user_claims()), "user claims in a service token");
    for typ in ["JWT", "at+JWT", "application/at+jwt", ""] {
        refused(&shop, &shop.forge("user", typ, &user_claims()), typ);
    }
}

#[test]
fn unsigned_and_differently_signed_tokens_are_refused() {
    let shop = Shop::new();
    let (kid, private, public) = shop.raw_key("user");
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    for alg in ["none", "None", "NONE", ""] {
        let header = part(&json!({"alg": alg, "typ": USER, "kid": kid}));
        refused(&shop, &format!("{header}.{}.", part(&user_claims())), alg);
    }

    // HS256 with the public key as the secret, in every encoding a library may have compared it in.
    let public_text = URL_SAFE_NO_PAD.encode(&public);
    for secret in [public.as_slice(), public_text.as_bytes()] {
        let header = part(&json!({"alg": "HS256", "typ": USER, "kid": kid}));
        let message = format!("{header}.{}", part(&user_claims()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        refused(&shop, &format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag)), "HS256 with the public key");
        // The same under a header that says EdDSA.
        let header = part(&json!({"alg": "EdDSA", "typ": USER, "kid": kid}));
        let message = format!("{header}.{}", part(&user_claims()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        refused(&shop, &format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag)), "a MAC for a signature");
    }

    let stranger = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap();
    let stranger = EncodingKey::from_ed_der(stranger.to_pkcs8().unwrap().as_ref());
    let header = |kid: Option<&str>| Header {
        typ: Some(USER.into()),
        kid: kid.map(str::to_owned),
        ..Header::new(Algorithm::EdDSA)
    };
    let sign = |header: &Header, key| jsonwebtoken::encode(header, &user_claims(), key).unwrap();
    refused(&shop, &sign(&header(Some(&kid)), &stranger), "a stranger's key under our key id");
    refused(&shop, &sign(&header(Some("user-unknown")), &stranger), "a key id nobody published");
    refused(&shop, &sign(&header(None), &private), "no key id");
    let critical = Header { crit: Some(vec!["exp".into()]), ..header(Some(&kid)) };
    refused(&shop, &sign(&critical, &private), "a critical extension we do not know");
}

#[test]
fn a_token_of_another_shop_is_refused() {
    let (ours, theirs) = (Shop::new(), Shop::new());
    let token = theirs.users().sign(&customer(), FIVE_MINUTES).unwrap();
    refused(&ours, &token, "another shop's keys");
}

#[test]
fn an_oversized_token_is_refused_unread() {
    let shop = Shop::new();
    let padded = with(user_claims(), "padding", json!("x".repeat(3_000)));
    refused(&shop, &shop.forge("user", USER, &padded), "oversized");
    refused(&shop, &"a.".repeat(1 << 20), "huge");
}

proptest! {
    #[test]
    fn no_text_is_believed_and_none_panics(text in "\\PC{0,200}", parts in prop::collection::vec("[A-Za-z0-9_-]{0,40}", 0..5)) {
        let shop = KEYS.with(Clone::clone);
        prop_assert!(shop.verifier("product").verify(&text).is_err());
        prop_assert!(shop.verifier("product").verify(&parts.join(".")).is_err());
    }

    #[test]
    fn one_changed_character_breaks_a_token(position: prop::sample::Index, replacement in "[A-Za-z0-9_.-]") {
        let shop = KEYS.with(Clone::clone);
        let token = shop.users().sign(&customer(), FIVE_MINUTES).unwrap();
        let at = position.index(token.len());
        let changed = format!("{}{replacement}{}", &token[..at], &token[at + 1..]);
        // The last character of a 64-byte signature carries two bits that base64 leaves open; strict decoding refuses those too.
        prop_assert_eq!(shop.verifier("product").verify(&changed).is_ok(), changed == token);
    }
}

thread_local! {
    static KEYS: std::rc::Rc<Shop> = std::rc::Rc::new(Shop::new());
}
