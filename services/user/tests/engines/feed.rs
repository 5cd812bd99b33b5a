//! The feed of revocations.

use std::time::{Duration, Instant};

use shop_auth::{Revocations, revocation};
use shop_proto::user::{self as proto, revocation::Subject};
use shop_types::new_id;
use tokio::time::timeout;
use tonic::Streaming;

use crate::harness::{BOUND, Shop, SignedIn, answer, as_caller, eventually, session_of};

/// How soon every process knows (design section 6).
const PROMISED: Duration = Duration::from_secs(5);

async fn watch(shop: &Shop, after_position: i64) -> Streaming<proto::WatchRevocationsResponse> {
    let request = proto::WatchRevocationsRequest { after_position };
    answer(shop.client().watch_revocations(as_caller(&shop.service("product"), request)).await).unwrap()
}

/// The next message that is no heartbeat.
async fn next(stream: &mut Streaming<proto::WatchRevocationsResponse>) -> Vec<proto::Revocation> {
    loop {
        let message = timeout(BOUND, stream.message()).await.unwrap().unwrap().unwrap();
        if !message.revocations.is_empty() {
            return message.revocations;
        }
    }
}

async fn sessions(shop: &Shop, count: usize) -> Vec<SignedIn> {
    let mut sessions = vec![shop.customer("ada@example.com").await];
    while sessions.len() < count {
        sessions.push(shop.login("ada@example.com").await);
    }
    sessions
}

fn session_subject(user: &SignedIn) -> Subject {
    Subject::SessionId(session_of(user).to_string())
}

#[tokio::test]
async fn a_stream_brings_what_was_and_what_comes() {
    let shop = Shop::open().await;
    let sessions = sessions(&shop, 3).await;
    shop.logout(&sessions[0].refresh).await;
    let mut stream = watch(&shop, 0).await;
    let past = next(&mut stream).await;
    assert_eq!((past.len(), past[0].position, past[0].subject.clone()), (1, 1, Some(session_subject(&sessions[0]))));
    assert!(past[0].forget_after.is_some());

    let start = Instant::now();
    shop.logout(&sessions[1].refresh).await;
    let news = next(&mut stream).await;
    assert!(start.elapsed() < PROMISED);
    assert_eq!((news.len(), news[0].position, news[0].subject.clone()), (1, 2, Some(session_subject(&sessions[1]))));

    let mut later = watch(&shop, 1).await;
    assert_eq!(next(&mut later).await[0].position, 2);
    let admin = shop.admin().await;
    shop.set(&admin.token(), &sessions[2].id, Some(proto::Role::Staff), None).await.unwrap();
    let expected = Subject::UserEpoch(proto::UserEpoch { user_id: sessions[2].id.clone(), epoch: 1 });
    for stream in [&mut stream, &mut later] {
        assert_eq!(next(stream).await[0].subject, Some(expected.clone()));
    }
    shop.close().await;
}

#[tokio::test]
async fn news_are_told_and_not_only_looked_for() {
    let shop = Shop::open().await;
    let sessions = sessions(&shop, 6).await;
    let mut stream = watch(&shop, 0).await;
    let start = Instant::now();
    for user in &sessions {
        shop.logout(&user.refresh).await;
        assert_eq!(next(&mut stream).await[0].subject, Some(session_subject(user)));
    }
    assert!(start.elapsed() < Duration::from_secs(4), "looking for them once a second would take six");
    shop.close().await;
}

#[tokio::test]
async fn a_quiet_stream_says_that_it_lives() {
    let shop = Shop::open().await;
    let mut stream = watch(&shop, 0).await;
    for _ in 0..3 {
        let message = timeout(Duration::from_secs(2), stream.message()).await.expect("a heartbeat within two seconds");
        assert_eq!(message.unwrap().unwrap().revocations, []);
    }
    shop.close().await;
}

#[tokio::test]
async fn a_stream_ends_when_the_server_leaves() {
    let shop = Shop::open().await;
    let mut stream = watch(&shop, 0).await;
    timeout(BOUND, stream.message()).await.unwrap().unwrap();
    shop.shutdown.begin();
    let ended = timeout(BOUND, async { while let Ok(Some(_)) = stream.message().await {} }).await;
    assert!(ended.is_ok());
    shop.close().await;
}

#[tokio::test]
async fn positions_grow_by_one_in_the_order_of_commits() {
    let shop = Shop::open().await;
    let sessions = sessions(&shop, 30).await;
    let mut stream = watch(&shop, 0).await;
    let logouts = futures::future::join_all(sessions.iter().map(|user| shop.logout(&user.refresh)));
    let read = async {
        let mut seen = Vec::new();
        while seen.len() < sessions.len() {
            seen.extend(next(&mut stream).await.into_iter().map(|revocation| revocation.position));
        }
        seen
    };
    let (_, seen) = tokio::join!(logouts, read);
    assert_eq!(seen, (1..=30).collect::<Vec<i64>>());
    let listed = shop.revocations(10).await;
    assert_eq!((listed.revocations.len(), listed.more, listed.revocations[0].position), (20, false, 11));
    shop.close().await;
}

#[tokio::test]
async fn a_long_list_comes_in_pages() {
    let shop = Shop::open().await;
    let row = |position| format!("({position}, {}, 9000000000000000000)", shop.database.id(new_id()));
    let rows: Vec<_> = (1..=2500).map(row).collect();
    shop.sql(&format!("INSERT INTO revocations (position, session_id, forget_after) VALUES {}", rows.join(", "))).await;
    let (mut position, mut sizes) = (0, Vec::new());
    loop {
        let page = shop.revocations(position).await;
        sizes.push(page.revocations.len());
        position = page.revocations.last().unwrap().position;
        if !page.more {
            break;
        }
    }
    assert_eq!((sizes, position), (vec![1000, 1000, 500], 2500));
    let mut stream = watch(&shop, 0).await;
    let mut streamed = 0;
    while streamed < 2500 {
        let page = next(&mut stream).await;
        assert!(page.len() <= 1000);
        streamed += page.len();
    }
    shop.close().await;
}

#[tokio::test]
async fn another_process_knows_within_five_seconds() {
    let shop = Shop::open().await;
    let sessions = sessions(&shop, 2).await;
    let elsewhere = Revocations::followed();
    let follow = revocation::follow(shop.client(), shop.signer("order"), elsewhere.clone(), shop.shutdown.token());
    let following = tokio::spawn(follow);
    eventually("a fresh feed", || async { elsewhere.require_fresh().is_ok() }).await;

    let user_id = sessions[0].id.parse().unwrap();
    let start = Instant::now();
    shop.logout(&sessions[0].refresh).await;
    eventually("the session", || async { elsewhere.is_revoked(session_of(&sessions[0]), user_id, 0) }).await;
    assert!(start.elapsed() < PROMISED);
    assert!(!elsewhere.is_revoked(session_of(&sessions[1]), user_id, 0));

    let start = Instant::now();
    shop.delete(&sessions[1]).await.unwrap();
    eventually("the user", || async { elsewhere.is_revoked(new_id(), user_id, 0) }).await;
    assert!(start.elapsed() < PROMISED);
    shop.close().await;
    timeout(BOUND, following).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_another_replica_revokes_counts_here_too() {
    let shop = Shop::open().await;
    let users = sessions(&shop, 3).await;
    let mut stream = watch(&shop, 0).await;
    for (position, user) in (1..).zip(&users) {
        let session = shop.database.id(session_of(user));
        let start = Instant::now();
        shop.sql(&format!(
            "INSERT INTO revocations (position, session_id, forget_after) \
             VALUES ({position}, {session}, 9000000000000000000)"
        ))
        .await;
        assert_eq!(next(&mut stream).await[0].subject, Some(session_subject(user)));
        eventually("its refusal", || async { !shop.lets_in(user).await }).await;
        assert!(start.elapsed() < PROMISED);
    }
    shop.close().await;
}

#[tokio::test]
async fn a_restart_remembers_what_was_revoked() {
    // What the process itself judges by is read before it is ready.
    let shop = Shop::open().await;
    let user = shop.customer("ada@example.com").await;
    shop.logout(&user.refresh).await;
    let shop = shop.restart().await;
    assert!(!shop.lets_in(&user).await);
    assert_eq!(shop.revocations(0).await.revocations.len(), 1);
    shop.close().await;
}
