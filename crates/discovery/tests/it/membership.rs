//! A set of instances that changes under the pool.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::{Reply, Server, TestResolver, eventually, read, reason, target};
use shop_discovery::{Pool, PoolOptions};
use shop_proto::status::Reason;

#[tokio::test]
async fn instances_that_join_get_calls_and_those_that_leave_finish() {
    let release = CancellationToken::new();
    let leaving = Server::start({
        let release = release.clone();
        move |_| Reply::GoodAfter(release.clone())
    })
    .await;
    let resolver = TestResolver::new(&[&leaving]);
    let pool = Pool::new(target(), &resolver, PoolOptions::default());
    let in_flight = tokio::spawn({
        let pool = pool.clone();
        async move { read(&pool).await }
    });
    eventually("the call arrives", async || leaving.calls() == 1).await;

    let joining = Server::good().await;
    resolver.set(&[&joining]);
    eventually("the one that joined gets calls", async || {
        // A call that still goes to the other one would hang.
        let call = timeout(Duration::from_millis(50), read(&pool));
        call.await.is_ok_and(|answer| answer.is_ok())
    })
    .await;
    let before = leaving.calls();
    for _ in 0..10 {
        read(&pool).await.unwrap();
    }
    assert_eq!(leaving.calls(), before);

    release.cancel();
    in_flight.await.unwrap().unwrap();
    eventually("connections to the one that left close", async || leaving.open_connections() == 0).await;
}

#[tokio::test]
async fn instances_that_stay_keep_their_connections() {
    let staying = Server::good().await;
    let other = Server::good().await;
    let resolver = TestResolver::new(&[&staying]);
    let pool = Pool::new(target(), &resolver, PoolOptions::default());
    read(&pool).await.unwrap();
    resolver.set(&[&other, &staying]);
    eventually("the new one gets calls", async || {
        read(&pool).await.unwrap();
        other.calls() > 1
    })
    .await;
    assert_eq!(staying.accepted_connections(), 1);
}

#[tokio::test]
async fn an_ejected_instance_that_leaves_is_not_probed() {
    let (leaving, staying) = (Server::good().await, Server::good().await);
    let resolver = TestResolver::new(&[&leaving, &staying]);
    let pool = Pool::new(target(), &resolver, PoolOptions::default());
    let address = leaving.kill().await;
    while staying.calls() < 2 {
        read(&pool).await.unwrap();
    }
    resolver.set(&[&staying]);
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    // A first probe is due within 200 ms. One may have been on its way when the set changed.
    let _ = timeout(Duration::from_millis(50), listener.accept()).await;
    timeout(Duration::from_secs(1), listener.accept()).await.expect_err("it is probed");
}

#[tokio::test]
async fn a_set_never_becomes_empty() {
    let server = Server::good().await;
    let other = Server::good().await;
    let resolver = TestResolver::new(&[&server]);
    let pool = Pool::new(target(), &resolver, PoolOptions::default());
    read(&pool).await.unwrap();
    resolver.set(&[]);
    // The pool has seen the empty set when it has seen the one after it; in between the server must not be lost.
    for _ in 0..20 {
        read(&pool).await.unwrap();
        tokio::task::yield_now().await;
    }
    resolver.set(&[&other]);
    eventually("the next set counts", async || {
        read(&pool).await.unwrap();
        other.calls() > 0
    })
    .await;
}

#[tokio::test]
async fn without_any_instance_calls_fail_at_once() {
    let resolver = TestResolver::new(&[]);
    let pool = Pool::new(target(), &resolver, PoolOptions::default());
    assert_eq!(reason(&read(&pool).await.unwrap_err()), Reason::Unavailable);
}

#[tokio::test]
async fn the_last_set_outlives_its_resolver() {
    let server = Server::good().await;
    let pool = Pool::new(target(), TestResolver::new(&[&server]), PoolOptions::default());
    tokio::task::yield_now().await;
    read(&pool).await.unwrap();
}
