//! What must hold when two replicas, or two connections of one, do things at once. On SQLite there is one writer, and
//! all of it holds of itself.

use std::collections::BTreeSet;

use futures::future::join_all;
use shop_discovery::Pool;
use shop_proto::{
    status::Reason,
    user::{self as proto, user_service_client::UserServiceClient},
};

use crate::harness::{PASSWORD, Shop, SignedIn, WRONG, answer, as_caller, reason, tokens};

const EMAIL: &str = "ada@example.com";
/// How many do a thing at once, half of them at each replica.
const CROWD: usize = 8;

/// The clients of both replicas in turn.
async fn crowd(shop: &mut Shop) -> Vec<UserServiceClient<Pool>> {
    let both = [shop.client(), shop.neighbour().await];
    both.into_iter().cycle().take(CROWD).collect()
}

#[tokio::test]
async fn one_refresh_token_has_one_successor_wherever_it_is_shown() {
    let mut shop = Shop::open().await;
    let mut user = shop.customer(EMAIL).await;
    let crowd = crowd(&mut shop).await;
    for round in 0..10 {
        let at_once = crowd.iter().cloned().map(|mut users| {
            let refresh_token = user.refresh.clone();
            async move { tokens(users.refresh(proto::RefreshRequest { refresh_token }).await) }
        });
        let answers: Vec<SignedIn> = join_all(at_once).await.into_iter().map(Result::unwrap).collect();
        let successors: BTreeSet<_> = answers.iter().map(|answer| answer.refresh.as_str()).collect();
        assert_eq!(successors.len(), 1, "round {round}");
        user = answers[0].clone();
    }
    shop.close().await;
}

#[tokio::test]
async fn no_more_logins_are_looked_at_than_the_throttle_allows() {
    let mut shop = Shop::open().await;
    shop.register(EMAIL).await.unwrap();
    let crowd = crowd(&mut shop).await;
    let gateway = shop.service("gateway");
    let mut failed = 0;
    for _ in 0..8 {
        let at_once = crowd.iter().cloned().map(|mut users| {
            let request = proto::LoginRequest {
                email: EMAIL.to_owned(),
                password: WRONG.to_owned(),
                client_address: "198.51.100.7".to_owned(),
            };
            let request = as_caller(&gateway, request);
            async move { reason(answer(users.login(request).await)) }
        });
        for answered in join_all(at_once).await {
            match answered {
                Reason::LoginFailed => failed += 1,
                // A hash that was refused for want of a core is not counted.
                Reason::LoginThrottled | Reason::Overloaded => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(failed, 10);
    assert_eq!(shop.count("SELECT count(*) AS n FROM login_failures").await, 10);
    shop.close().await;
}

#[tokio::test]
async fn an_e_mail_is_one_accounts_however_it_is_written() {
    let mut shop = Shop::open().await;
    let crowd = crowd(&mut shop).await;
    let spellings = [
        "J\u{fc}rgen@example.com",
        "ju\u{308}rgen@example.com",
        "J\u{dc}RGEN@EXAMPLE.COM",
        " ju\u{308}RGEN@example.com ",
    ];
    for round in 0..4 {
        let at_once = crowd.iter().cloned().zip(spellings.iter().cycle()).map(|(mut users, email)| async move {
            let request = proto::RegisterRequest {
                email: email
                    .replace("example", &format!("example{round}"))
                    .replace("EXAMPLE", &format!("EXAMPLE{round}")),
                password: PASSWORD.to_owned(),
                display_name: "J\u{fc}rgen".to_owned(),
            };
            answer(users.register(request).await)
        });
        let made: Vec<_> = join_all(at_once).await;
        assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1, "round {round}");
        for refused in made.into_iter().filter(Result::is_err) {
            // Who finds no core to hash on is refused before it comes to the e-mail.
            let refused = reason(refused);
            assert!(matches!(refused, Reason::EmailTaken | Reason::Overloaded), "{refused:?}");
        }
    }
    // What is compared is bytes: these are two people.
    shop.register("jurgen@example0.com").await.unwrap();
    shop.close().await;
}

#[tokio::test]
async fn two_admins_at_two_replicas_do_not_both_go() {
    let mut shop = Shop::open().await;
    let mut neighbour = shop.neighbour().await;
    let mut one = shop.admin().await;
    for round in 0..8 {
        let email = format!("admin{round}@example.com");
        let two = shop.customer(&email).await;
        shop.set(&one.token(), &two.id, Some(proto::Role::Admin), None).await.unwrap();
        let two = shop.login(&email).await;
        let there = proto::UpdateUserRequest { user_id: one.id.clone(), role: None, disabled: Some(true) };
        let by_one = one.token();
        let (first, second) = tokio::join!(
            shop.set(&by_one, &two.id, Some(proto::Role::Customer), None),
            neighbour.update_user(as_caller(&two.token(), there))
        );
        let second = answer(second);
        assert!(first.is_ok() != second.is_ok(), "round {round}: {first:?} {second:?}");
        assert_eq!(shop.count("SELECT count(*) AS n FROM users WHERE role = 'admin' AND NOT disabled").await, 1);
        if first.is_err() {
            one = two;
        }
    }
    shop.close().await;
}

#[tokio::test]
async fn a_change_of_one_thing_keeps_another_that_comes_at_once() {
    let mut shop = Shop::open().await;
    let mut neighbour = shop.neighbour().await;
    let admin = shop.admin().await;
    for round in 0..8 {
        let user = shop.customer(&format!("user{round}@example.com")).await;
        let name = format!("Name {round}");
        let renamed = proto::UpdateProfileRequest { user_id: user.id.clone(), display_name: Some(name.clone()) };
        let by_admin = admin.token();
        let (promoted, renamed) = tokio::join!(
            shop.set(&by_admin, &user.id, Some(proto::Role::Staff), None),
            neighbour.update_profile(as_caller(&user.token(), renamed))
        );
        promoted.unwrap();
        let found = shop.get(&admin.token(), &user.id).await.unwrap();
        assert_eq!(found.role(), proto::Role::Staff, "round {round}: the name brought the old role back");
        // A replica that knows of the new role already asks for a new token first.
        if renamed.is_ok() {
            assert_eq!(found.display_name, name, "round {round}: the role brought the old name back");
        }
    }
    shop.close().await;
}

#[tokio::test]
async fn the_feed_shows_no_position_before_an_earlier_one() {
    let mut shop = Shop::open().await;
    let crowd = crowd(&mut shop).await;
    shop.register(EMAIL).await.unwrap();
    let mut sessions = Vec::new();
    for _ in 0..40 {
        sessions.push(shop.login(EMAIL).await);
    }
    let ended = std::sync::atomic::AtomicBool::new(false);
    let logouts = async {
        let at_once = sessions.iter().zip(crowd.iter().cloned().cycle()).map(|(session, mut users)| {
            let request = proto::LogoutRequest { refresh_token: session.refresh.clone() };
            async move { answer(users.logout(request).await).unwrap() }
        });
        join_all(at_once).await;
        ended.store(true, std::sync::atomic::Ordering::SeqCst);
    };
    // Whoever follows asks for what comes after the last that it saw, and never again for what came before.
    let follower = async {
        let mut seen = Vec::new();
        loop {
            let last_look = ended.load(std::sync::atomic::Ordering::SeqCst);
            let page = shop.revocations(seen.last().copied().unwrap_or_default()).await;
            seen.extend(page.revocations.iter().map(|revocation| revocation.position));
            if last_look {
                return seen;
            }
        }
    };
    let ((), seen) = tokio::join!(logouts, follower);
    assert_eq!(seen, (1..=40).collect::<Vec<i64>>());
    shop.close().await;
}
