//! Refresh tokens.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use shop_proto::status::Reason;

use crate::harness::{Shop, SignedIn, reason, session_of};

/// Lets seconds pass since the last rotation.
async fn seconds_pass(shop: &Shop, seconds: u32) {
    shop.sql(&format!("UPDATE sessions SET rotated_at = rotated_at - {seconds}000000")).await;
}

async fn is_over(shop: &Shop, tokens: &[&SignedIn]) {
    for token in tokens {
        assert_eq!(reason(shop.refresh(&token.refresh).await), Reason::InvalidRefreshToken);
        assert!(!shop.lets_in(token).await, "the session's access tokens are void too");
    }
}

#[tokio::test]
async fn a_refresh_token_is_traded_for_another_of_the_same_session() {
    let shop = Shop::open().await;
    let mut user = shop.customer("ada@example.com").await;
    for _ in 0..5 {
        let next = shop.refresh(&user.refresh).await.unwrap();
        assert_ne!(next.refresh, user.refresh);
        assert_eq!((&next.id, session_of(&next)), (&user.id, session_of(&user)));
        user = next;
    }
    assert!(shop.lets_in(&user).await);
    shop.close().await;
}

#[tokio::test]
async fn one_token_used_many_times_at_once_has_one_successor() {
    let shop = Shop::open().await;
    let user = shop.customer("ada@example.com").await;
    let at_once = futures::future::join_all((0..50).map(|_| shop.refresh(&user.refresh))).await;
    let successors: std::collections::HashSet<_> = at_once.into_iter().map(|result| result.unwrap().refresh).collect();
    assert_eq!(successors.len(), 1);
    let successor = successors.into_iter().next().unwrap();
    assert!(shop.refresh(&successor).await.is_ok());
    shop.close().await;
}

#[tokio::test]
async fn a_lost_answer_is_repeated_for_ten_seconds() {
    let shop = Shop::open().await;
    let user = shop.customer("ada@example.com").await;
    let first = shop.refresh(&user.refresh).await.unwrap();
    seconds_pass(&shop, 8).await;
    assert_eq!(shop.refresh(&user.refresh).await.unwrap().refresh, first.refresh);
    seconds_pass(&shop, 8).await;
    is_over(&shop, &[&user, &first]).await;
    shop.close().await;
}

#[tokio::test]
async fn any_other_reuse_ends_the_session_and_no_other() {
    let shop = Shop::open().await;
    let first = shop.customer("ada@example.com").await;
    let other = shop.login("ada@example.com").await;
    let second = shop.refresh(&first.refresh).await.unwrap();
    let third = shop.refresh(&second.refresh).await.unwrap();
    assert!(shop.lets_in(&third).await);
    assert_eq!(reason(shop.refresh(&first.refresh).await), Reason::InvalidRefreshToken);
    is_over(&shop, &[&first, &second, &third]).await;
    assert!(shop.lets_in(&other).await && shop.refresh(&other.refresh).await.is_ok());
    shop.close().await;
}

#[tokio::test]
async fn an_invented_token_ends_nothing() {
    let shop = Shop::open().await;
    let user = shop.customer("ada@example.com").await;
    let other = shop.login("ada@example.com").await;
    // The session's id with another's secret, a changed secret, a changed tag, and what is no token.
    let splice = |at: usize| format!("{}{}", &user.refresh[..at], &other.refresh[at..]);
    let mut changed = user.refresh.clone();
    changed.replace_range(40..41, if changed[40..41] == *"A" { "B" } else { "A" });
    for invented in [splice(24), splice(66), changed, String::new(), "x".repeat(86), "x".repeat(100_000)] {
        assert_eq!(reason(shop.refresh(&invented).await), Reason::InvalidRefreshToken);
        shop.logout(&invented).await;
    }
    assert!(shop.lets_in(&user).await && shop.refresh(&user.refresh).await.is_ok());
    shop.close().await;
}

#[tokio::test]
async fn a_logout_ends_the_session_and_may_be_repeated() {
    let shop = Shop::open().await;
    let user = shop.customer("ada@example.com").await;
    let next = shop.refresh(&user.refresh).await.unwrap();
    // With a token that was already traded: it is still the session's.
    shop.logout(&user.refresh).await;
    is_over(&shop, &[&user, &next]).await;
    shop.logout(&user.refresh).await;
    shop.logout(&next.refresh).await;
    assert_eq!(shop.revocations(0).await.revocations.len(), 1, "a logout of nothing revokes nothing");
    shop.close().await;
}

#[tokio::test]
async fn a_session_is_over_after_thirty_days() {
    let shop = Shop::open().await;
    let user = shop.customer("ada@example.com").await;
    let month = 30 * 24 * 3_600;
    shop.sql(&format!("UPDATE sessions SET expires_at = expires_at - {}000000", month - 60)).await;
    let next = shop.refresh(&user.refresh).await.unwrap();
    shop.sql("UPDATE sessions SET expires_at = expires_at - 60000000").await;
    assert_eq!(reason(shop.refresh(&next.refresh).await), Reason::InvalidRefreshToken);
    shop.close().await;
}

#[tokio::test]
async fn the_database_holds_no_token() {
    let shop = Shop::open().await;
    let user = shop.customer("ada@example.com").await;
    let next = shop.refresh(&user.refresh).await.unwrap();
    // A server's files are not this test's to read; what is written to them is the same.
    let Some(file) = shop.database.file() else { return shop.close().await };
    for token in [user, next] {
        let bytes = URL_SAFE_NO_PAD.decode(&token.refresh).unwrap();
        let secret = &bytes[16..48];
        for name in ["db", "db-wal"] {
            let content = std::fs::read(file.with_extension(name)).unwrap();
            assert!(!content.windows(secret.len()).any(|window| window == secret), "{name}");
            let text = token.refresh.as_bytes();
            assert!(!content.windows(text.len()).any(|window| window == text), "{name}");
        }
    }
    shop.close().await;
}
