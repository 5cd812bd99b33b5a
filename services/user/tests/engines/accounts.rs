//! One's own account.

use std::sync::atomic::{AtomicBool, Ordering};

use shop_auth::Role;
use shop_proto::{status::Reason, user as proto};
use shop_types::new_id;

use crate::harness::{ADMIN, HOME, PASSWORD, Shop, WRONG, answer, as_caller, pointers, reason};

const NEW: &str = "a quite different phrase";

#[tokio::test]
async fn a_new_user_is_a_customer_and_sees_themselves() {
    let shop = Shop::open().await;
    let made = shop.register_with("  Ada@Example.com ", PASSWORD, " Ada Lovelace ").await.unwrap();
    assert_eq!((made.email.as_str(), made.display_name.as_str()), ("Ada@Example.com", "Ada Lovelace"));
    assert_eq!((made.role(), made.disabled), (proto::Role::Customer, false));
    assert!(made.created_at.is_some() && made.created_at == made.updated_at);
    let user = shop.login("ada@example.COM").await;
    assert_eq!(shop.get(&user.token(), &made.id).await.unwrap(), made);
    shop.close().await;
}

#[tokio::test]
async fn an_email_is_one_account_however_it_is_written() {
    let shop = Shop::open().await;
    shop.register("J\u{dc}rgen@b\u{fc}cher.example").await.unwrap();
    for again in ["j\u{fc}rgen@b\u{fc}cher.example", " JU\u{308}RGEN@BU\u{308}CHER.EXAMPLE"] {
        let refusal = shop.register(again).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::EmailTaken);
        assert_eq!(refusal.violations[0].pointer, "/email");
    }
    let at_once = futures::future::join_all((0..2).map(|_| shop.register("bob@example.com"))).await;
    assert_eq!(at_once.iter().filter(|made| made.is_ok()).count(), 1);
    let others = at_once.into_iter().filter_map(Result::err);
    assert!(others.into_iter().all(|refusal| refusal.reason == Reason::EmailTaken));
    shop.close().await;
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_not_read() {
    let shop = Shop::open_with(|options| options.server.max_message_bytes = 2_000).await;
    shop.register("ada@example.com").await.unwrap();
    let request = proto::RegisterRequest { display_name: "x".repeat(2_000), ..proto::RegisterRequest::default() };
    let status = shop.client().register(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::OutOfRange, "{status:?}");
    shop.close().await;
}

#[tokio::test]
async fn every_wrong_field_of_a_registration_is_named() {
    let shop = Shop::open().await;
    let long = "x".repeat(101);
    let cases: [(&str, &str, &str, &[&str]); 10] = [
        ("", "", "", &["/display_name", "/email"]),
        ("ada", PASSWORD, "Ada", &["/email"]),
        ("ada@example.com\0", PASSWORD, "Ada", &["/email"]),
        ("ada@example.com", "short", "Ada", &["/password"]),
        ("ada@example.com", &"long enough ".repeat(11), "Ada", &["/password"]),
        ("ada@example.com", "Password1234!", "Ada", &["/password"]),
        ("ada@example.com", "my ada@example.com", "Ada", &["/password"]),
        ("ada@example.com", PASSWORD, " ", &["/display_name"]),
        ("ada@example.com", PASSWORD, "A\0da", &["/display_name"]),
        ("ada@example.com", "123456789012", &long, &["/display_name", "/password"]),
    ];
    for (email, password, name, expected) in cases {
        assert_eq!(pointers(shop.register_with(email, password, name).await), expected, "{email} {password} {name}");
    }
    shop.close().await;
}

#[tokio::test]
async fn a_profile_is_changed_by_its_owner() {
    let shop = Shop::open().await;
    let user = shop.customer("ada@example.com").await;
    let update = async |display_name: Option<&str>| {
        let display_name = display_name.map(str::to_owned);
        let request = proto::UpdateProfileRequest { user_id: user.id.clone(), display_name };
        answer(shop.client().update_profile(as_caller(&user.token(), request)).await).map(|answer| answer.user.unwrap())
    };
    let before = shop.get(&user.token(), &user.id).await.unwrap();
    assert_eq!(update(None).await.unwrap(), before);
    let after = update(Some("Countess")).await.unwrap();
    assert_eq!(after.display_name, "Countess");
    assert_eq!(shop.get(&user.token(), &user.id).await.unwrap(), after);
    assert_eq!(pointers(update(Some("")).await), ["/display_name"]);
    shop.close().await;
}

#[tokio::test]
async fn nobody_but_an_admin_sees_another_user() {
    let shop = Shop::open().await;
    let (ada, bob) = (shop.customer("ada@example.com").await, shop.customer("bob@example.com").await);
    assert_eq!(reason(shop.get(&ada.token(), &bob.id).await), Reason::NotFound);
    assert_eq!(reason(shop.get(&shop.stranger(Role::Staff), &bob.id).await), Reason::NotFound);
    let admin = shop.admin().await.token();
    assert_eq!(shop.get(&admin, &bob.id).await.unwrap().email, "bob@example.com");
    for nobody in [new_id().to_string(), "not-an-id".to_owned(), String::new()] {
        assert_eq!(reason(shop.get(&admin, &nobody).await), Reason::NotFound);
        assert_eq!(reason(shop.get(&ada.token(), &nobody).await), Reason::NotFound);
    }
    shop.close().await;
}

#[tokio::test]
async fn what_is_another_users_is_not_there_whatever_the_method() {
    let shop = Shop::open().await;
    let (ada, bob) = (shop.customer("ada@example.com").await, shop.customer("bob@example.com").await);
    let admin = shop.admin().await;
    for token in [ada.token(), admin.token()] {
        let user_id = bob.id.clone();
        let mut users = shop.client();
        let profile = proto::UpdateProfileRequest { user_id: user_id.clone(), display_name: Some("Eve".into()) };
        assert_eq!(reason(answer(users.update_profile(as_caller(&token, profile)).await)), Reason::NotFound);
        let password = proto::ChangePasswordRequest {
            user_id: user_id.clone(),
            current_password: PASSWORD.into(),
            new_password: NEW.into(),
        };
        assert_eq!(reason(answer(users.change_password(as_caller(&token, password)).await)), Reason::NotFound);
        let delete = proto::DeleteUserRequest { user_id: user_id.clone() };
        assert_eq!(reason(answer(users.delete_user(as_caller(&token, delete)).await)), Reason::NotFound);
    }
    assert_eq!(shop.get(&bob.token(), &bob.id).await.unwrap().display_name, "Ada");
    shop.close().await;
}

#[tokio::test]
async fn a_new_password_ends_every_other_session() {
    let shop = Shop::open().await;
    let first = shop.customer("ada@example.com").await;
    let (second, third) = (shop.login("ada@example.com").await, shop.login("ada@example.com").await);
    assert_eq!(reason(shop.change_password(&second, WRONG, NEW).await), Reason::WrongPassword);
    assert_eq!(pointers(shop.change_password(&second, PASSWORD, "short").await), ["/new_password"]);
    assert!(shop.lets_in(&first).await);

    shop.change_password(&second, PASSWORD, NEW).await.unwrap();
    for ended in [&first, &third] {
        assert!(!shop.lets_in(ended).await);
        assert_eq!(reason(shop.refresh(&ended.refresh).await), Reason::InvalidRefreshToken);
    }
    assert!(shop.lets_in(&second).await);
    let second = shop.refresh(&second.refresh).await.unwrap();
    assert_eq!(reason(shop.login_from(HOME, "ada@example.com", PASSWORD).await), Reason::LoginFailed);
    shop.login_from(HOME, "ada@example.com", NEW).await.unwrap();
    assert_eq!(reason(shop.change_password(&second, PASSWORD, NEW).await), Reason::WrongPassword);
    shop.close().await;
}

#[tokio::test]
async fn no_session_that_the_old_password_opened_outlives_it() {
    let shop = Shop::open().await;
    let owner = shop.customer("ada@example.com").await;
    for (old, new) in [(PASSWORD, NEW), (NEW, PASSWORD), (PASSWORD, NEW)] {
        let changed = AtomicBool::new(false);
        let change = async {
            shop.change_password(&owner, old, new).await.unwrap();
            changed.store(true, Ordering::Relaxed);
        };
        // One login after the other, so that some are at their hash when the password changes.
        let log_in = || async {
            let mut opened = Vec::new();
            while !changed.load(Ordering::Relaxed) {
                opened.extend(shop.login_from(HOME, "ada@example.com", old).await);
            }
            opened
        };
        let ((), one, two, three) = tokio::join!(change, log_in(), log_in(), log_in());
        for session in one.iter().chain(&two).chain(&three) {
            assert!(!shop.lets_in(session).await);
        }
    }
    assert!(shop.lets_in(&owner).await);
    shop.close().await;
}

#[tokio::test]
async fn a_stolen_session_can_not_guess_the_password() {
    let shop = Shop::open().await;
    let (owner, stolen) = (shop.customer("ada@example.com").await, shop.login("ada@example.com").await);
    for _ in 0..10 {
        assert_eq!(reason(shop.change_password(&stolen, WRONG, NEW).await), Reason::WrongPassword);
    }
    let refusal = shop.change_password(&stolen, PASSWORD, NEW).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::LoginThrottled);
    assert!(refusal.retry_after.is_some());
    shop.change_password(&owner, PASSWORD, NEW).await.unwrap();
    shop.close().await;
}

#[tokio::test]
async fn a_deleted_account_leaves_nothing_and_frees_its_email() {
    let shop = Shop::open().await;
    let user = shop.customer("ada@example.com").await;
    let other_session = shop.login("ada@example.com").await;
    let admin = shop.admin().await.token();
    for address in [HOME, "198.51.100.7"] {
        assert_eq!(reason(shop.login_from(address, "ada@example.com", WRONG).await), Reason::LoginFailed);
    }
    shop.delete(&user).await.unwrap();
    assert_eq!(shop.count("SELECT count(*) AS n FROM login_failures").await, 0);

    for session in [&user, &other_session] {
        assert!(!shop.lets_in(session).await);
        assert_eq!(reason(shop.refresh(&session.refresh).await), Reason::InvalidRefreshToken);
    }
    assert_eq!(reason(shop.login_from(HOME, "ada@example.com", PASSWORD).await), Reason::LoginFailed);
    assert_eq!(reason(shop.get(&admin, &user.id).await), Reason::NotFound);
    assert_eq!(reason(shop.set(&admin, &user.id, None, Some(false)).await), Reason::NotFound);
    let again = shop.customer("ada@example.com").await;
    assert_ne!(again.id, user.id);

    let leftovers = "SELECT count(*) AS n FROM users WHERE deleted_at IS NOT NULL AND (email <> '' OR email_key IS NOT NULL \
                     OR display_name <> '' OR password_hash IS NOT NULL)";
    assert_eq!(shop.count(leftovers).await, 0);
    assert_eq!(shop.count("SELECT count(*) AS n FROM users WHERE deleted_at IS NOT NULL").await, 1);
    shop.close().await;
}

#[tokio::test]
async fn order_is_told_who_may_order() {
    let shop = Shop::open().await;
    let user = shop.customer("ada@example.com").await;
    let validate = async |user_id: &str, address_id: &str| {
        let request = proto::ValidateUserRequest { user_id: user_id.to_owned(), address_id: address_id.to_owned() };
        answer(shop.client().validate_user(as_caller(&shop.service("order"), request)).await).unwrap()
    };
    let good = validate(&user.id, "").await;
    assert_eq!((good.standing(), good.address), (proto::Standing::Good, None));
    for nobody in [new_id().to_string(), "no-id".to_owned(), String::new()] {
        assert_eq!(validate(&nobody, "").await.standing(), proto::Standing::Unknown);
        assert_eq!(validate(&user.id, "x").await.standing(), proto::Standing::AddressUnknown);
    }
    let admin = shop.admin().await;
    shop.set(&admin.token(), &user.id, None, Some(true)).await.unwrap();
    assert_eq!(validate(&user.id, "").await.standing(), proto::Standing::Disabled);
    shop.set(&admin.token(), &user.id, None, Some(false)).await.unwrap();
    let user = shop.login("ada@example.com").await;
    shop.delete(&user).await.unwrap();
    assert_eq!(validate(&user.id, "").await.standing(), proto::Standing::Unknown);
    assert_eq!(shop.login(ADMIN).await.id, admin.id);
    shop.close().await;
}
