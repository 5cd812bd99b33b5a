//! Signing in.

use std::time::{Duration, Instant};

use shop_proto::{status::Reason, user as proto};
use shop_types::Uuid;

use crate::harness::{HOME, PASSWORD, Shop, WRONG, answer, as_caller, eventually, reason, session_of};

#[tokio::test]
async fn a_login_opens_a_session_of_its_own() {
    let shop = Shop::open().await;
    shop.register("ada@example.com").await.unwrap();
    let request = proto::LoginRequest {
        email: " ADA@example.com".into(),
        password: PASSWORD.into(),
        client_address: String::new(),
    };
    let tokens = answer(shop.client().login(request).await).unwrap().tokens.unwrap();
    assert_eq!(tokens.expires_in, 300);
    let (one, two) = (shop.login("ada@example.com").await, shop.login("ada@example.com").await);
    assert_ne!(session_of(&one), session_of(&two));
    shop.logout(&one.refresh).await;
    assert!(!shop.lets_in(&one).await);
    assert!(shop.lets_in(&two).await);
    shop.close().await;
}

#[tokio::test]
async fn what_was_wrong_is_not_told() {
    let shop = Shop::open().await;
    shop.register("ada@example.com").await.unwrap();
    let long = "x".repeat(100_000);
    let expected = shop.login_from(HOME, "ada@example.com", WRONG).await.unwrap_err();
    assert_eq!(expected.reason, Reason::LoginFailed);
    for (email, password) in [
        ("nobody@example.com", PASSWORD),
        ("no e-mail at all", PASSWORD),
        ("", ""),
        ("ada@example.com", ""),
        ("ada@example.com", &long),
    ] {
        assert_eq!(shop.login_from(HOME, email, password).await.unwrap_err(), expected, "{email}");
    }
    shop.close().await;
}

#[tokio::test]
async fn an_unknown_email_takes_as_long_as_a_wrong_password() {
    let shop = Shop::open().await;
    shop.register("ada@example.com").await.unwrap();
    let (mut known, mut unknown) = (Duration::MAX, Duration::MAX);
    // In turns, and the fastest of each, so that what else the machine does weighs on both alike.
    for _ in 0..8 {
        for (email, fastest) in [("ada@example.com", &mut known), ("nobody@example.com", &mut unknown)] {
            let start = Instant::now();
            assert_eq!(reason(shop.login_from(HOME, email, WRONG).await), Reason::LoginFailed);
            *fastest = start.elapsed().min(*fastest);
        }
    }
    // Without a hash it would be a tenth.
    assert!(unknown * 3 > known && known * 3 > unknown, "known {known:?}, unknown {unknown:?}");
    shop.close().await;
}

#[tokio::test]
async fn a_hash_made_with_other_figures_is_renewed_at_the_next_login() {
    let shop = Shop::open().await;
    shop.register("ada@example.com").await.unwrap();
    // PASSWORD under one pass over 8 KiB.
    let weak = {
        use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version, password_hash::SaltString};
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        argon2.hash_password(PASSWORD.as_bytes(), &SaltString::encode_b64(&[7; 16]).unwrap()).unwrap().to_string()
    };
    shop.sql(&format!("UPDATE users SET password_hash = '{weak}' WHERE email_key = 'ada@example.com'")).await;
    let strong = "SELECT count(*) AS n FROM users WHERE email_key = 'ada@example.com' \
                  AND password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'";
    assert_eq!(reason(shop.login_from(HOME, "ada@example.com", WRONG).await), Reason::LoginFailed);
    assert_eq!(shop.count(strong).await, 0);
    shop.login("ada@example.com").await;
    assert_eq!(shop.count(strong).await, 1);
    shop.login("ada@example.com").await;
    shop.close().await;
}

#[tokio::test]
async fn more_logins_than_can_be_hashed_are_refused_and_not_counted_as_failed() {
    let shop = Shop::open().await;
    let cores = std::thread::available_parallelism().unwrap().get();
    // From everywhere and to every account, so that no limit of the throttle is reached.
    let logins = (0..20 + 20 * cores).map(|n| {
        let address = format!("198.51.{}.{}", n / 250, n % 250);
        let email = format!("user{n}@example.com");
        let shop = &shop;
        async move { shop.login_from(&address, &email, PASSWORD).await.unwrap_err() }
    });
    let refusals = futures::future::join_all(logins).await;
    let (refused, failed): (Vec<_>, Vec<_>) =
        refusals.into_iter().partition(|refusal| refusal.reason == Reason::Overloaded);
    assert!(!refused.is_empty(), "twenty at once for each core are more than the pool takes on");
    assert!(refused.iter().all(|refusal| refusal.retry_after.is_some()));
    assert!(!failed.is_empty() && failed.iter().all(|refusal| refusal.reason == Reason::LoginFailed), "{failed:?}");
    let counted = shop.count("SELECT count(*) AS n FROM login_failures").await;
    assert_eq!(usize::try_from(counted).unwrap(), failed.len());
    shop.close().await;
}

#[tokio::test]
async fn a_right_password_is_no_failure_though_its_caller_has_gone() {
    let shop = Shop::open().await;
    shop.register("ada@example.com").await.unwrap();
    let failures = async || shop.count("SELECT count(*) AS n FROM login_failures").await;
    let mut given_up = 0;
    for _ in 0..10 {
        // It is counted before the password is looked at, which takes longer than to see that it is.
        let login = shop.login_from(HOME, "ada@example.com", PASSWORD);
        let counted = async { while failures().await == 0 {} };
        tokio::select! {
            biased;
            () = counted => given_up += 1,
            login = login => drop(login.unwrap()),
        }
        eventually("it is not counted any more", async || failures().await == 0).await;
    }
    assert!(given_up > 0, "nobody could leave in time");
    shop.close().await;
}

#[tokio::test]
async fn a_user_has_a_hundred_sessions_and_the_oldest_makes_room() {
    let shop = Shop::open().await;
    let oldest = shop.customer("ada@example.com").await;
    let second = shop.login("ada@example.com").await;
    // Ninety-eight more, as many logins would have made them: ids that are later than the first two.
    let id = |n: u128| shop.database.id(Uuid::from_u128((u128::MAX << 64) + n));
    let ids: Vec<_> = (0..98).map(|n| format!("SELECT {} AS id", id(n))).collect();
    shop.sql(&format!(
        "INSERT INTO sessions (id, user_id, secret, present_hash, rotated_at, expires_at) \
         SELECT n.id, s.user_id, s.secret, s.present_hash, s.rotated_at, s.expires_at \
         FROM ({}) n, (SELECT * FROM sessions LIMIT 1) s",
        ids.join(" UNION ALL ")
    ))
    .await;
    assert!(shop.lets_in(&oldest).await);
    // These have the id of the present, later than the first two and earlier than the rest.
    let third = shop.login("ada@example.com").await;
    assert!(!shop.lets_in(&oldest).await);
    assert!(shop.lets_in(&second).await && shop.lets_in(&third).await);
    assert_eq!(shop.count("SELECT count(*) AS n FROM sessions").await, 100);
    shop.close().await;
}

#[tokio::test]
async fn an_access_token_lives_as_long_as_configured() {
    let shop = Shop::open_with(|options| options.access_token_ttl = Duration::from_secs(42)).await;
    let user = shop.customer("ada@example.com").await;
    let claims: serde_json::Value = jsonwebtoken::dangerous::insecure_decode(&user.access).unwrap().claims;
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 42);
    let request = proto::RefreshRequest { refresh_token: user.refresh };
    let tokens = answer(shop.client().refresh(as_caller(&None, request)).await).unwrap().tokens.unwrap();
    assert_eq!(tokens.expires_in, 42);
    shop.close().await;
}
