//! What admins do.

use shop_proto::{
    status::{Reason, Refusal},
    user::{self as proto, Role},
};

use crate::harness::{HOME, PASSWORD, Shop, SignedIn, Token, answer, as_caller, pointers, reason, session_of};

async fn list(shop: &Shop, token: &Token, limit: i32, cursor: &str) -> Result<(Vec<proto::User>, String), Refusal> {
    let request = proto::ListUsersRequest { limit, cursor: cursor.to_owned() };
    let listed = answer(shop.client().list_users(as_caller(token, request)).await)?;
    Ok((listed.users, listed.next_cursor))
}

/// A second admin with a session.
async fn another_admin(shop: &Shop, admin: &SignedIn, email: &str) -> SignedIn {
    let made = shop.register(email).await.unwrap();
    shop.set(&admin.token(), &made.id, Some(Role::Admin), None).await.unwrap();
    shop.login(email).await
}

#[tokio::test]
async fn users_are_listed_newest_first_without_the_deleted() {
    let shop = Shop::open().await;
    let admin = shop.admin().await.token();
    let mut expected = vec!["admin@example.com".to_owned()];
    for number in 0..5 {
        let email = format!("user{number}@example.com");
        shop.register(&email).await.unwrap();
        expected.insert(0, email);
    }
    let gone = shop.customer("gone@example.com").await;
    shop.delete(&gone).await.unwrap();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let (page, next) = list(&shop, &admin, 2, &cursor).await.unwrap();
        assert!(page.len() <= 2);
        seen.extend(page.into_iter().map(|user| user.email));
        if next.is_empty() {
            break;
        }
        cursor = next;
    }
    assert_eq!(seen, expected);
    assert_eq!(pointers(list(&shop, &admin, 101, "").await), ["limit"]);
    let mut changed = cursor.clone();
    changed.replace_range(..1, if cursor.starts_with('A') { "B" } else { "A" });
    assert_eq!(reason(list(&shop, &admin, 2, &changed).await), Reason::InvalidCursor);
    shop.close().await;
}

#[tokio::test]
async fn a_new_role_voids_the_tokens_of_the_old_one_and_keeps_the_session() {
    let shop = Shop::open().await;
    let (user, admin) = (shop.customer("ada@example.com").await, shop.admin().await);
    let changed = shop.set(&admin.token(), &user.id, Some(Role::Admin), None).await.unwrap();
    assert_eq!(changed.role(), Role::Admin);
    assert!(!shop.lets_in(&user).await);
    let renewed = shop.refresh(&user.refresh).await.unwrap();
    assert_eq!(session_of(&renewed), session_of(&user));
    assert!(list(&shop, &renewed.token(), 0, "").await.is_ok());

    shop.set(&admin.token(), &user.id, Some(Role::Customer), None).await.unwrap();
    assert!(!shop.lets_in(&renewed).await);
    let again = shop.refresh(&renewed.refresh).await.unwrap();
    assert_eq!(reason(list(&shop, &again.token(), 0, "").await), Reason::Forbidden);
    let same = shop.set(&admin.token(), &user.id, Some(Role::Customer), Some(false)).await.unwrap();
    assert!(shop.lets_in(&again).await, "nothing changed, so nothing is void");
    assert_eq!(same.role(), Role::Customer);
    for number in [0, 4, -1] {
        let request = proto::UpdateUserRequest { user_id: user.id.clone(), role: Some(number), disabled: None };
        let updated = answer(shop.client().update_user(as_caller(&admin.token(), request)).await);
        assert_eq!(pointers(updated), ["/role"]);
    }
    shop.close().await;
}

#[tokio::test]
async fn a_disabled_user_is_out_at_once_and_may_come_back() {
    let shop = Shop::open().await;
    let (user, admin) = (shop.customer("ada@example.com").await, shop.admin().await);
    assert!(shop.set(&admin.token(), &user.id, None, Some(true)).await.unwrap().disabled);
    assert!(!shop.lets_in(&user).await);
    assert_eq!(reason(shop.refresh(&user.refresh).await), Reason::InvalidRefreshToken);
    let refused = shop.login_from(HOME, "ada@example.com", PASSWORD).await.unwrap_err();
    let unknown = shop.login_from(HOME, "nobody@example.com", PASSWORD).await.unwrap_err();
    assert_eq!(refused, unknown, "disabled and unknown are told apart by nothing");
    shop.set(&admin.token(), &user.id, None, Some(false)).await.unwrap();
    assert_eq!(reason(shop.refresh(&user.refresh).await), Reason::InvalidRefreshToken);
    assert!(shop.lets_in(&shop.login("ada@example.com").await).await);
    shop.close().await;
}

#[tokio::test]
async fn the_last_admin_stays() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let token = admin.token();
    assert_eq!(reason(shop.set(&token, &admin.id, Some(Role::Staff), None).await), Reason::LastAdmin);
    assert_eq!(reason(shop.set(&token, &admin.id, None, Some(true)).await), Reason::LastAdmin);
    assert_eq!(reason(shop.delete(&admin).await), Reason::LastAdmin);
    assert!(shop.lets_in(&admin).await, "a refused change voids nothing");

    let other = another_admin(&shop, &admin, "other@example.com").await;
    shop.set(&other.token(), &other.id, None, Some(true)).await.unwrap();
    assert_eq!(reason(shop.delete(&admin).await), Reason::LastAdmin, "a disabled admin does not count");
    shop.set(&token, &other.id, None, Some(false)).await.unwrap();
    shop.delete(&admin).await.unwrap();
    let other = shop.login("other@example.com").await;
    assert_eq!(reason(shop.delete(&other).await), Reason::LastAdmin);
    shop.close().await;
}

#[tokio::test]
async fn two_admins_who_remove_each_other_at_once_leave_one() {
    let shop = Shop::open().await;
    for round in 0..6 {
        let survivor = shop.count("SELECT count(*) AS n FROM users WHERE role = 'admin' AND NOT disabled").await;
        assert_eq!(survivor, 1, "round {round}");
        let email = if round == 0 { "admin@example.com".to_owned() } else { email_of_admin(&shop).await };
        let one = shop.login(&email).await;
        let two = another_admin(&shop, &one, &format!("admin{round}@example.com")).await;
        let (first, second) = match round % 3 {
            0 => tokio::join!(demote(&shop, &one, &two), demote(&shop, &two, &one)),
            1 => tokio::join!(demote(&shop, &one, &one), disable(&shop, &two, &two)),
            _ => tokio::join!(shop.delete(&one), disable(&shop, &two, &two)),
        };
        assert_eq!([first.is_ok(), second.is_ok()].iter().filter(|ok| **ok).count(), 1, "{first:?} {second:?}");
        for refusal in [first, second].into_iter().filter_map(Result::err) {
            // Whoever came second was no admin any more, or the last.
            let expected = [Reason::LastAdmin, Reason::InvalidToken];
            assert!(expected.contains(&refusal.reason), "{refusal:?}");
        }
    }
    shop.close().await;
}

async fn demote(shop: &Shop, by: &SignedIn, whom: &SignedIn) -> Result<(), Refusal> {
    shop.set(&by.token(), &whom.id, Some(Role::Customer), None).await.map(|_| ())
}

async fn disable(shop: &Shop, by: &SignedIn, whom: &SignedIn) -> Result<(), Refusal> {
    shop.set(&by.token(), &whom.id, None, Some(true)).await.map(|_| ())
}

/// The one admin's e-mail, found by trying those that there were.
async fn email_of_admin(shop: &Shop) -> String {
    let later = (0..6).map(|round| format!("admin{round}@example.com"));
    for email in std::iter::once("admin@example.com".to_owned()).chain(later) {
        let query =
            format!("SELECT count(*) AS n FROM users WHERE role = 'admin' AND NOT disabled AND email_key = '{email}'");
        if shop.count(&query).await == 1 {
            return email;
        }
    }
    panic!("there is no admin left");
}
