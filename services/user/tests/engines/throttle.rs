//! The login throttle.

use std::time::Duration;

use futures::StreamExt as _;
use shop_proto::{
    status::{Reason, Refusal},
    user as proto,
};
use shop_types::Instant;

use crate::harness::{HOME, PASSWORD, Shop, SignedIn, WRONG, answer, as_caller, reason};

const ELSEWHERE: &str = "198.51.100.7";
const EMAIL: &str = "ada@example.com";

/// Failed logins, as many at once as the pool of hashes takes on.
async fn fail(shop: &Shop, attempts: impl Iterator<Item = (String, String)>) -> Vec<Reason> {
    let attempts =
        attempts.map(|(address, email)| async move { reason(shop.login_from(&address, &email, WRONG).await) });
    futures::stream::iter(attempts).buffer_unordered(4).collect().await
}

fn throttled(result: Result<SignedIn, Refusal>) -> Duration {
    let refusal = result.unwrap_err();
    assert_eq!(refusal.reason, Reason::LoginThrottled);
    refusal.retry_after.unwrap()
}

/// Lets a second pass for attempts beyond the limits.
async fn a_second(shop: &Shop) {
    shop.sql("UPDATE login_addresses SET looked_at = looked_at - 1000000").await;
}

/// Lets a quarter of an hour pass for what was counted.
async fn quarter_of_an_hour(shop: &Shop) {
    shop.sql("UPDATE login_failures SET at = at - 900000000").await;
}

#[tokio::test]
async fn ten_failures_of_an_account_from_an_address_are_enough() {
    let shop = Shop::open().await;
    shop.register(EMAIL).await.unwrap();
    let reasons = fail(&shop, (0..10).map(|_| (ELSEWHERE.to_owned(), EMAIL.to_owned()))).await;
    assert_eq!(reasons, [Reason::LoginFailed; 10]);
    let retry_after = throttled(shop.login_from(ELSEWHERE, EMAIL, PASSWORD).await);
    assert!(retry_after > Duration::from_mins(14) && retry_after <= Duration::from_secs(901), "{retry_after:?}");
    // Also for an account that does not exist, and from the same network however the address is written.
    let reasons = fail(&shop, (0..10).map(|n| (format!("2001:db8::{n}"), "nobody@example.com".to_owned()))).await;
    assert_eq!(reasons, [Reason::LoginFailed; 10]);
    throttled(shop.login_from("2001:db8::ffff", "Nobody@example.com", PASSWORD).await);
    // Others go on: another account there, the same account elsewhere.
    shop.register("bob@example.com").await.unwrap();
    shop.login_from(ELSEWHERE, "bob@example.com", PASSWORD).await.unwrap();
    shop.login_from(HOME, EMAIL, PASSWORD).await.unwrap();

    quarter_of_an_hour(&shop).await;
    shop.login_from(ELSEWHERE, EMAIL, PASSWORD).await.unwrap();
    shop.close().await;
}

#[tokio::test]
async fn the_count_holds_however_many_come_at_once() {
    let shop = Shop::open().await;
    shop.register(EMAIL).await.unwrap();
    let mut failed = 0;
    // The pool of hashes refuses some; those were not looked at and don't count.
    for _ in 0..5 {
        let at_once = (0..40).map(|_| shop.login_from(ELSEWHERE, EMAIL, WRONG));
        for result in futures::future::join_all(at_once).await {
            match reason(result) {
                Reason::LoginFailed => failed += 1,
                Reason::LoginThrottled | Reason::Overloaded => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(failed, 10);
    throttled(shop.login_from(ELSEWHERE, EMAIL, PASSWORD).await);
    shop.close().await;
}

#[tokio::test]
async fn the_right_password_from_a_known_address_always_works() {
    let shop = Shop::open().await;
    shop.customer(EMAIL).await;
    // The account from home, home as an address, and the account from everywhere: all beyond their limits.
    let mut reasons = fail(&shop, (0..12).map(|_| (HOME.to_owned(), EMAIL.to_owned()))).await;
    reasons.sort_by_key(|reason| reason.code());
    assert_eq!(reasons, [[Reason::LoginFailed; 10].as_slice(), &[Reason::LoginThrottled; 2]].concat());
    let _beyond = fail(&shop, (0..50).map(|n| (HOME.to_owned(), format!("user{n}@example.com")))).await;
    throttled(shop.login_from(HOME, "another@example.com", PASSWORD).await);
    a_second(&shop).await;
    shop.login_from(HOME, EMAIL, PASSWORD).await.unwrap();
    assert_eq!(reason(shop.login_from(HOME, EMAIL, WRONG).await), Reason::LoginThrottled);
    a_second(&shop).await;
    shop.login_from(HOME, EMAIL, PASSWORD).await.unwrap();
    // Who knows the password need not wait after it.
    shop.login_from(HOME, EMAIL, PASSWORD).await.unwrap();
    shop.close().await;
}

#[tokio::test]
async fn beyond_the_limits_a_known_address_has_one_guess_a_second() {
    let shop = Shop::open().await;
    shop.customer(EMAIL).await;
    let _limit = fail(&shop, (0..10).map(|_| (HOME.to_owned(), EMAIL.to_owned()))).await;
    // As if the turn were never over while the test runs.
    let in_an_hour = Instant::now().plus(Duration::from_hours(1)).as_micros();
    let looked_at = throttled(shop.login_from(HOME, EMAIL, WRONG).await);
    assert!(looked_at > Duration::from_mins(14), "{looked_at:?}");
    shop.sql(&format!("UPDATE login_addresses SET looked_at = {in_an_hour}")).await;
    let at_once = (0..20).map(|n| shop.login_from(HOME, EMAIL, if n == 7 { PASSWORD } else { WRONG }));
    for attempt in futures::future::join_all(at_once).await {
        assert_eq!(throttled(attempt), Duration::from_secs(1), "not looked at");
    }
    shop.sql("UPDATE login_addresses SET looked_at = 0").await;
    shop.login_from(HOME, EMAIL, PASSWORD).await.unwrap();
    shop.close().await;
}

#[tokio::test]
async fn fifty_failures_from_an_address_are_enough_for_all_accounts() {
    let shop = Shop::open().await;
    shop.register(EMAIL).await.unwrap();
    let reasons = fail(&shop, (0..50).map(|n| (ELSEWHERE.to_owned(), format!("user{n}@example.com")))).await;
    assert_eq!(reasons, [Reason::LoginFailed; 50]);
    throttled(shop.login_from(ELSEWHERE, EMAIL, PASSWORD).await);
    shop.login_from(HOME, EMAIL, PASSWORD).await.unwrap();
    shop.close().await;
}

#[tokio::test]
async fn a_hundred_foreign_failures_shut_strangers_out_and_not_the_owner() {
    let shop = Shop::open().await;
    shop.customer(EMAIL).await;
    // The owner's own slips don't count among the foreign.
    assert_eq!(fail(&shop, (0..5).map(|_| (HOME.to_owned(), EMAIL.to_owned()))).await, [Reason::LoginFailed; 5]);
    let reasons = fail(&shop, (0..100).map(|n| (format!("203.0.113.{n}"), EMAIL.to_owned()))).await;
    assert_eq!(reasons, [Reason::LoginFailed; 100]);
    throttled(shop.login_from(ELSEWHERE, EMAIL, PASSWORD).await);
    assert_eq!(reason(shop.login_from(HOME, EMAIL, WRONG).await), Reason::LoginFailed);
    shop.login_from(HOME, EMAIL, PASSWORD).await.unwrap();
    shop.close().await;
}

#[tokio::test]
async fn only_the_gateway_says_where_a_client_is() {
    let shop = Shop::open().await;
    shop.register(EMAIL).await.unwrap();
    for (caller, number) in [(None, 0), (shop.service("order"), 100)] {
        let mut reasons = Vec::new();
        for n in 0..11 {
            let request = proto::LoginRequest {
                email: EMAIL.into(),
                password: WRONG.into(),
                client_address: format!("203.0.113.{}", number + n),
            };
            reasons.push(reason(answer(shop.client().login(as_caller(&caller, request)).await)));
        }
        assert_eq!(reasons[10], Reason::LoginThrottled, "the peer is one and the same, whatever it says");
    }
    // The gateway's client is at another address.
    shop.login_from(ELSEWHERE, EMAIL, PASSWORD).await.unwrap();
    shop.close().await;
}
