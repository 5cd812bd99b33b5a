//! Access tokens before the real server: forged ones, and keys that rotate while tokens are in flight.

use std::time::Duration;

use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use shop_auth::keys;
use shop_proto::status::Reason;
use shop_types::{Instant, new_id};

use crate::harness::{Shop, SignedIn, Token, eventually, reason, session_of};

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn bearer(token: &str) -> Token {
    Some(format!("Bearer {token}").parse().unwrap())
}

fn key_file(shop: &Shop, issuer: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(shop.keys.signing_keys(issuer)).unwrap()).unwrap()
}

/// The key that an issuer signs with, and its id.
fn key(shop: &Shop, issuer: &str) -> (Ed25519KeyPair, String) {
    let file = key_file(shop, issuer);
    let bytes = |member: &str| URL_SAFE_NO_PAD.decode(file["keys"][0][member].as_str().unwrap()).unwrap();
    let pair = Ed25519KeyPair::from_seed_and_public_key(&bytes("d"), &bytes("x")).unwrap();
    (pair, file["keys"][0]["kid"].as_str().unwrap().to_owned())
}

fn signed(pair: &Ed25519KeyPair, header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn claims_of(user: &SignedIn) -> Value {
    let payload = user.access.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn with(value: &Value, member: &str, replacement: Value) -> Value {
    let mut value = value.clone();
    value[member] = replacement;
    value
}

#[tokio::test]
async fn forged_tokens_of_every_sort_are_refused() {
    let shop = Shop::open().await;
    let user = shop.customer("ada@example.com").await;
    let (pair, kid) = key(&shop, "user");
    let (order_pair, order_kid) = key(&shop, "order");
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid});
    let good = claims_of(&user);
    assert!(
        shop.get(&bearer(&signed(&pair, &header, &good)), &user.id).await.is_ok(),
        "what is forged is good at first"
    );

    let public = pair.public_key().as_ref().to_vec();
    let mac = |header: &Value, secret: &[u8]| {
        let message = format!("{}.{}", part(header), part(&good));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let now = Instant::now().as_seconds();
    let none = with(&header, "alg", json!("none"));
    let hs256 = with(&header, "alg", json!("HS256"));
    let claim = |member: &str, value: Value| signed(&pair, &header, &with(&good, member, value));
    let stranger = Ed25519KeyPair::generate().unwrap();
    let forged = [
        ("alg none", format!("{}.{}.", part(&none), part(&good))),
        ("alg none with a signature", signed(&pair, &none, &good)),
        ("HS256 with the public key", mac(&hs256, &public)),
        ("HS256 with the public key as text", mac(&hs256, URL_SAFE_NO_PAD.encode(&public).as_bytes())),
        ("a MAC for a signature", mac(&header, &public)),
        ("another's signature", signed(&stranger, &header, &good)),
        ("an unknown key", signed(&stranger, &with(&header, "kid", json!("user-x")), &good)),
        ("a service's key", signed(&order_pair, &with(&header, "kid", json!(order_kid)), &good)),
        ("a service's key and issuer", {
            signed(&order_pair, &with(&header, "kid", json!(order_kid)), &with(&good, "iss", json!("order")))
        }),
        ("wrong aud", claim("aud", json!("user"))),
        ("wrong iss", claim("iss", json!("gateway"))),
        ("wrong typ", signed(&pair, &with(&header, "typ", json!("JWT")), &good)),
        ("a service token by the users' key", signed(&pair, &with(&header, "typ", json!("svc+jwt")), &good)),
        ("another shop", claim("shop", json!("elsewhere"))),
        ("expired", claim("exp", json!(now - 6))),
        ("from the future", claim("iat", json!(now + 60))),
        ("not yet", claim("nbf", json!(now + 60))),
        ("too long a life", claim("exp", json!(now + 100_000))),
        ("a role there is not", claim("role", json!("root"))),
        ("another's claims under this signature", {
            let (start, end) = (user.access.find('.').unwrap(), user.access.rfind('.').unwrap());
            let admin = part(&with(&good, "role", json!("admin")));
            format!("{}.{admin}{}", &user.access[..start], &user.access[end..])
        }),
        ("nothing", "x".to_owned()),
    ];
    for (what, token) in forged {
        assert_eq!(reason(shop.get(&bearer(&token), &user.id).await), Reason::InvalidToken, "{what}");
    }
    assert_eq!(reason(shop.get(&None, &user.id).await), Reason::Unauthenticated);
    assert!(shop.lets_in(&user).await);
    shop.close().await;
}

#[tokio::test]
async fn a_service_token_is_for_one_callee_and_one_kind_of_method() {
    let shop = Shop::open().await;
    let user = shop.customer("ada@example.com").await;
    let elsewhere: Token = Some(shop.signer("order").bearer("product").unwrap());
    assert_eq!(reason(shop.get(&elsewhere, &user.id).await), Reason::InvalidToken);
    assert_eq!(reason(shop.get(&shop.service("order"), &user.id).await), Reason::Forbidden);
    shop.close().await;
}

#[tokio::test]
async fn keys_rotate_under_way() {
    let shop = Shop::open().await;
    // The key has been there for an hour, and the rotation began five minutes ago.
    let mut file = key_file(&shop, "user");
    file["keys"][0]["sign_from"] = json!("2026-01-01T00:00:00Z");
    std::fs::write(shop.keys.signing_keys("user"), file.to_string()).unwrap();
    let in_flight = shop.customer("ada@example.com").await;

    let lead = i64::try_from(keys::PUBLISH_LEAD.as_micros()).unwrap();
    let begun = Instant::from_micros(Instant::now().as_micros() - lead);
    let rotation = keys::rotate(shop.dir(), "user", begun).unwrap();
    let kid = |user: &SignedIn| jsonwebtoken::decode_header(&user.access).unwrap().kid.unwrap();
    assert_ne!(kid(&in_flight), rotation.kid);

    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        let mut user = in_flight.clone();
        loop {
            user = shop.refresh(&user.refresh).await.unwrap();
            if kid(&user) == rotation.kid {
                return user;
            }
            assert!(shop.lets_in(&user).await && shop.lets_in(&in_flight).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let renewed = waited.await.unwrap();
    assert_eq!(session_of(&renewed), session_of(&in_flight));
    eventually("both keys' tokens", || async { shop.lets_in(&renewed).await && shop.lets_in(&in_flight).await }).await;
    assert_eq!(reason(shop.get(&shop.stranger(shop_auth::Role::Admin), &new_id().to_string()).await), Reason::NotFound);
    shop.close().await;
}
