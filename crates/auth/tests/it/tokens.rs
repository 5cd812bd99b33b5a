//! Good tokens.

use std::time::Duration;

use shop_auth::{Caller, KeyError, MAX_USER_TOKEN_TTL, Revocations, ServiceSigner, SignError, UserTokenSigner};
use shop_proto::status::Reason;
use shop_types::{Instant, new_id};

use crate::{FIVE_MINUTES, SHOP, Shop, customer, service_caller};

#[test]
fn a_users_token_says_who_they_are_to_every_service() {
    let shop = Shop::new();
    let user = customer();
    let token = shop.users().sign(&user, FIVE_MINUTES).unwrap();
    for service in ["user", "product", "order", "gateway"] {
        assert_eq!(shop.verifier(service).verify(&token).unwrap(), Caller::User(user.clone()));
    }
}

#[test]
fn a_services_token_is_good_for_the_service_it_names_only() {
    let shop = Shop::new();
    let value = shop.service("order").bearer("product").unwrap();
    let token = value.to_str().unwrap().strip_prefix("Bearer ").unwrap();
    assert_eq!(shop.verifier("product").verify(token).unwrap(), service_caller("order"));
    assert_eq!(shop.verifier("user").verify(token).unwrap_err().reason, Reason::InvalidToken);
}

#[test]
fn a_service_signs_once_for_many_calls() {
    let shop = Shop::new();
    let signer = shop.service("order");
    assert_eq!(signer.bearer("product").unwrap(), signer.bearer("product").unwrap());
    assert_ne!(signer.bearer("product").unwrap(), signer.bearer("user").unwrap());
    assert!(signer.bearer("user").unwrap().is_sensitive());
}

#[test]
fn revocation_counts_at_every_use_also_of_a_remembered_token() {
    let shop = Shop::new();
    let revocations = Revocations::local();
    let verifier = shop.verifier_with("order", revocations.clone());
    let (first, second) = (customer(), customer());
    let users = shop.users();
    let (one, two) = (users.sign(&first, FIVE_MINUTES).unwrap(), users.sign(&second, FIVE_MINUTES).unwrap());
    assert!(verifier.verify(&one).is_ok() && verifier.verify(&two).is_ok());

    let later = Instant::now().plus(FIVE_MINUTES);
    revocations.revoke_session(first.session_id, later);
    assert_eq!(verifier.verify(&one).unwrap_err().reason, Reason::InvalidToken);
    assert!(verifier.verify(&two).is_ok());

    revocations.revoke_below_epoch(second.user_id, second.epoch, later);
    assert!(verifier.verify(&two).is_ok(), "the epoch itself is good");
    revocations.revoke_below_epoch(second.user_id, second.epoch + 1, later);
    assert_eq!(verifier.verify(&two).unwrap_err().reason, Reason::InvalidToken);
    let renewed = shop_auth::UserCaller { epoch: second.epoch + 1, ..second };
    assert!(verifier.verify(&users.sign(&renewed, FIVE_MINUTES).unwrap()).is_ok());
}

#[test]
fn a_token_that_would_outlive_its_key_is_not_signed() {
    let shop = Shop::new();
    let ttl = MAX_USER_TOKEN_TTL + Duration::from_secs(1);
    assert!(matches!(shop.users().sign(&customer(), ttl), Err(SignError::TooLong)));
}

#[test]
fn keys_serve_their_own_issuer_only() {
    let shop = Shop::new();
    assert!(UserTokenSigner::new(&shop.paths.options("order"), SHOP).is_err());
    assert!(ServiceSigner::new(&shop.paths.options("product"), "order", SHOP).is_err());
    let users_keys = ServiceSigner::new(&shop.paths.options("user"), "user", SHOP);
    assert!(matches!(users_keys, Err(KeyError::IssuerName(_))));
}

#[test]
fn remembered_and_fresh_verdicts_agree_for_many_tokens() {
    let shop = Shop::new();
    let (verifier, users) = (shop.verifier("order"), shop.users());
    for _ in 0..200 {
        let user = shop_auth::UserCaller { session_id: new_id(), ..customer() };
        let token = users.sign(&user, FIVE_MINUTES).unwrap();
        assert_eq!(verifier.verify(&token).unwrap(), Caller::User(user.clone()));
        assert_eq!(verifier.verify(&token).unwrap(), Caller::User(user));
    }
}
