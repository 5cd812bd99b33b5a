//! Whose is whose, and which credentials count: nobody reaches what is another's, by any route, with any token but a
//! good one.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};
use shop_auth::{ServiceSigner, keys::KeyPaths};
use uuid::Uuid;

use crate::{
    client::{Client, PASSWORD, address, order_of},
    shop::Shop,
};

/// A revocation is seen everywhere within this.
const REVOCATION_BOUND: Duration = Duration::from_secs(5);
/// DER around an Ed25519 seed: PKCS #8 (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

#[tokio::test]
async fn what_is_anothers_is_not_found() {
    let shop = Shop::start().await;
    let admin = Client::admin(&shop).await;
    let product = admin.product(900, 10).await;
    let (owner, owner_id) = Client::customer(&shop).await;
    let (other, _) = Client::customer(&shop).await;
    let order = owner.order("mine", &order_of(product, 1)).await.expect(201).id();
    let saved = owner.post("/users/me/addresses", &address()).await.expect(201).id();

    let nothing = json!({});
    let foreign = [
        (Method::GET, format!("/orders/{order}"), None),
        (Method::GET, format!("/orders/{order}/history"), None),
        (Method::POST, format!("/orders/{order}/cancel"), Some(&nothing)),
        (Method::PATCH, format!("/users/me/addresses/{saved}"), Some(&nothing)),
        (Method::DELETE, format!("/users/me/addresses/{saved}"), None),
    ];
    for (method, path, body) in &foreign {
        let answer = other.send(method.clone(), path, &[], *body).await;
        answer.problem(404, "NOT_FOUND");
        // It looks the same as something that never was.
        let nowhere = path.replace(&order.to_string(), &Uuid::now_v7().to_string());
        let nowhere = nowhere.replace(&saved.to_string(), &Uuid::now_v7().to_string());
        let absent = other.send(method.clone(), &nowhere, &[], *body).await;
        let words = |answer: &Value| (answer["title"].clone(), answer["detail"].clone(), answer["status"].clone());
        assert_eq!(words(answer.problem(404, "NOT_FOUND")), words(absent.problem(404, "NOT_FOUND")), "{method} {path}");
    }

    let payment = json!({"reference": "x", "amount": {"amount": 900, "currency": "USD"}});
    let refund = json!({"reference": "x", "amount": {"amount": 900, "currency": "USD"}, "restock": true});
    for customer in [&owner, &other] {
        for (method, path, body) in [
            (Method::POST, format!("/orders/{order}/payments"), &payment),
            (Method::POST, format!("/orders/{order}/refund"), &refund),
            (Method::POST, format!("/orders/{order}/ship"), &nothing),
            (Method::POST, format!("/orders/{order}/deliver"), &nothing),
            (Method::GET, "/users".to_owned(), &nothing),
            (Method::GET, format!("/users/{owner_id}"), &nothing),
            (Method::PATCH, format!("/users/{owner_id}"), &json!({"role": "admin"})),
            (Method::GET, format!("/products/{product}/inventory"), &nothing),
        ] {
            let body = (method != Method::GET).then_some(body);
            customer.send(method.clone(), &path, &[], body).await.problem(403, "FORBIDDEN");
        }
    }
    let listed = other.get(&format!("/orders?user_id={owner_id}")).await;
    assert!(listed.status.as_u16() == 403 || listed.body["items"] == json!([]), "{:#}", listed.body);
    assert_eq!(other.get("/orders").await.expect(200).body["items"], json!([]));
    let to_foreign = json!({"items": [{"product_id": product, "quantity": 1}], "address_id": saved});
    let refused = other.order("foreign-address", &to_foreign).await;
    assert_eq!(refused.problem(400, "VALIDATION_FAILED")["errors"][0]["pointer"], "/address_id");

    assert_eq!(owner.get(&format!("/orders/{order}")).await.expect(200).body["status"], "reserved");
    assert_eq!(owner.get("/users/me/addresses").await.expect(200).body["items"][0]["id"], json!(saved));
}

#[tokio::test]
async fn no_forged_token_is_taken() {
    let shop = Shop::start().await;
    let (customer, customer_id) = Client::customer(&shop).await;
    let keys = KeyPaths::new(&shop.data_dir().join("keys"));
    let file: Value = serde_json::from_slice(&std::fs::read(keys.signing_keys("user")).unwrap()).unwrap();
    let (kid, seed, public) = {
        let key = &file["keys"][0];
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
        (key["kid"].as_str().unwrap().to_owned(), bytes("d"), bytes("x"))
    };
    let good = customer.token.clone().unwrap();
    let claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(good.split('.').nth(1).unwrap()).unwrap()).unwrap();
    assert_eq!(claims["sub"], json!(customer_id));

    let eddsa = EncodingKey::from_ed_der(&[&PKCS8_PREFIX[..], &seed].concat());
    let header =
        |algorithm, typ: &str| Header { typ: Some(typ.to_owned()), kid: Some(kid.clone()), ..Header::new(algorithm) };
    let signed = |typ: &str, name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        jsonwebtoken::encode(&header(Algorithm::EdDSA, typ), &claims, &eddsa).unwrap()
    };
    // The forger's own craft is right: with nothing changed the token is taken.
    let untouched = signed("at+jwt", "sub", claims["sub"].clone());
    customer.with_token(untouched).get("/users/me").await.expect(200);

    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = format!("{}.{}.", part(&json!({"alg": "none", "typ": "at+jwt", "kid": kid})), part(&claims));
    let keyed = |secret: &[u8]| {
        let key = EncodingKey::from_secret(secret);
        jsonwebtoken::encode(&header(Algorithm::HS256, "at+jwt"), &claims, &key).unwrap()
    };
    let service = ServiceSigner::new(&keys.options("order"), "order", "local").unwrap().bearer("gateway").unwrap();
    let mut altered = good.clone().into_bytes();
    let at = good.find('.').unwrap() + 10;
    altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
    let forged = [
        ("alg none", none),
        ("HS256 with the public key", keyed(&public)),
        ("HS256 with the public key as it is published", keyed(URL_SAFE_NO_PAD.encode(&public).as_bytes())),
        ("another audience", signed("at+jwt", "aud", json!("elsewhere"))),
        ("another issuer", signed("at+jwt", "iss", json!("order"))),
        ("another shop", signed("at+jwt", "shop", json!("another"))),
        ("a service's type", signed("svc+jwt", "sub", claims["sub"].clone())),
        ("no type", signed("JWT", "sub", claims["sub"].clone())),
        ("expired", signed("at+jwt", "exp", json!(claims["iat"].as_i64().unwrap() - 600))),
        ("not yet issued", signed("at+jwt", "iat", json!(claims["iat"].as_i64().unwrap() + 600))),
        ("a service token", service.to_str().unwrap().trim_start_matches("Bearer ").to_owned()),
        ("altered claims", String::from_utf8(altered).unwrap()),
        ("no signature", good[..=good.rfind('.').unwrap()].to_owned()),
        ("garbage", "not.a.token".to_owned()),
        ("far too long", "x".repeat(6_000)),
    ];
    for (what, token) in forged {
        let attacker = customer.with_token(token);
        for path in ["/users/me", "/orders", "/products"] {
            let answer = attacker.get(path).await;
            assert_eq!(answer.status.as_u16(), 401, "{what} on {path}: {:#}", answer.body);
            answer.problem(401, "INVALID_TOKEN");
            assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")), "{what}");
        }
    }
    Client::anonymous(&shop).get("/users/me").await.problem(401, "UNAUTHENTICATED");
    customer.get("/users/me").await.expect(200);
}

#[tokio::test]
async fn what_ends_a_session_ends_its_tokens() {
    let shop = Shop::start().await;
    let admin = Client::admin(&shop).await;
    let anonymous = Client::anonymous(&shop);
    let sign_in = async |email: &str| {
        let tokens = anonymous.post("/auth/login", &json!({"email": email, "password": PASSWORD})).await.expect(200);
        (anonymous.with_token(tokens.body["access_token"].as_str().unwrap()), tokens.body["refresh_token"].clone())
    };

    anonymous.register("logout@sessions.test").await;
    let (leaving, refresh) = sign_in("logout@sessions.test").await;
    let (staying, _) = sign_in("logout@sessions.test").await;
    leaving.post("/auth/logout", &json!({"refresh_token": refresh})).await.expect(204);
    refused_soon(&leaving).await;
    staying.get("/users/me").await.expect(200);
    anonymous.post("/auth/refresh", &json!({"refresh_token": refresh})).await.problem(401, "INVALID_REFRESH_TOKEN");

    anonymous.register("password@sessions.test").await;
    let (changing, _) = sign_in("password@sessions.test").await;
    let (other, _) = sign_in("password@sessions.test").await;
    let change = json!({"current_password": PASSWORD, "new_password": "something else entirely"});
    changing.send(Method::PUT, "/users/me/password", &[], Some(&change)).await.expect(204);
    refused_soon(&other).await;
    changing.get("/users/me").await.expect(200);

    let disabled = anonymous.register("disabled@sessions.test").await.id();
    let (before, _) = sign_in("disabled@sessions.test").await;
    admin.patch(&format!("/users/{disabled}"), &json!({"disabled": true})).await.expect(200);
    refused_soon(&before).await;
    let login = json!({"email": "disabled@sessions.test", "password": PASSWORD});
    anonymous.post("/auth/login", &login).await.problem(401, "LOGIN_FAILED");

    let (staff, staff_id) = Client::with_role(&shop, "staff").await;
    staff.get("/orders").await.expect(200);
    admin.patch(&format!("/users/{staff_id}"), &json!({"role": "customer"})).await.expect(200);
    refused_soon(&staff).await;

    anonymous.register("deleted@sessions.test").await;
    let (deleting, _) = sign_in("deleted@sessions.test").await;
    deleting.delete("/users/me").await.expect(204);
    refused_soon(&deleting).await;
    // The e-mail is free again.
    anonymous.register("deleted@sessions.test").await;
}

/// Every service refuses the token within the bound.
async fn refused_soon(client: &Client) {
    let begun = Instant::now();
    for path in ["/users/me", "/orders", "/products"] {
        while client.get(path).await.status.as_u16() != 401 {
            assert!(begun.elapsed() < REVOCATION_BOUND, "{path} still takes the token");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
