//! Where calls go while all is well.

use futures::future::join_all;
use shop_discovery::{Address, Pool, PoolOptions, StaticResolver};
use shop_proto::user::{WatchRevocationsRequest, user_service_client::UserServiceClient};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::support::{Reply, Seen, Server, eventually, pool, read, target};

#[tokio::test]
async fn instances_take_turns() {
    let servers = [Server::good().await, Server::good().await, Server::good().await];
    let pool = pool(&servers.each_ref());
    for _ in 0..30 {
        read(&pool).await.unwrap();
    }
    for server in &servers {
        assert_eq!(server.calls(), 10);
    }
}

#[tokio::test]
async fn the_instance_with_the_fewest_calls_in_flight_is_chosen() {
    let release = CancellationToken::new();
    let slow = Server::start({
        let release = release.clone();
        move |_| Reply::GoodAfter(release.clone())
    })
    .await;
    let quick = Server::good().await;
    let pool = pool(&[&slow, &quick]);
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { read(&pool).await })
        })
        .collect();
    eventually("all that the slow server did not get are done", async || {
        calls.iter().filter(|call| call.is_finished()).count() + slow.calls() == calls.len()
    })
    .await;
    let held = slow.calls();
    assert!((1..=10).contains(&held), "the slow server got {held} of 20");
    for _ in 0..10 {
        read(&pool).await.unwrap();
    }
    assert_eq!(slow.calls(), held);
    release.cancel();
    for call in join_all(calls).await {
        call.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_open_stream_counts_until_it_is_dropped() {
    let (sender, messages) = watch::channel(0);
    let behaviour = move |seen: &Seen| {
        if seen.path.ends_with("WatchRevocations") { Reply::Stream(messages.clone()) } else { Reply::Good }
    };
    let servers = [Server::start(behaviour.clone()).await, Server::start(behaviour).await];
    let pool = pool(&servers.each_ref());
    let mut client = UserServiceClient::new(pool.clone());
    let mut stream = client.watch_revocations(WatchRevocationsRequest::default()).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    let (busy, idle) = if servers[0].calls() == 1 { (&servers[0], &servers[1]) } else { (&servers[1], &servers[0]) };

    for _ in 0..10 {
        read(&pool).await.unwrap();
    }
    assert_eq!((busy.calls(), idle.calls()), (1, 10), "an open stream is a call in flight");
    sender.send_replace(1);
    stream.message().await.unwrap().unwrap();

    drop(stream);
    for _ in 0..10 {
        read(&pool).await.unwrap();
    }
    assert_eq!((busy.calls(), idle.calls()), (6, 15));
}

#[tokio::test]
async fn a_call_that_is_dropped_no_longer_counts() {
    let servers = [Server::start(|_| Reply::Never).await, Server::good().await];
    let pool = pool(&servers.each_ref());
    // Whichever call gets stuck is given up.
    for _ in 0..3 {
        let call = tokio::spawn({
            let pool = pool.clone();
            async move { read(&pool).await }
        });
        let before = servers[0].calls() + servers[1].calls();
        eventually("the call arrives", async || servers[0].calls() + servers[1].calls() > before).await;
        call.abort();
        let _ = call.await;
    }
    let before = servers[0].calls();
    servers[0].behave(|_| Reply::Good);
    for _ in 0..10 {
        read(&pool).await.unwrap();
    }
    assert_eq!(servers[0].calls() - before, 5, "the instance gets its share again");
}

#[tokio::test]
async fn overlapping_calls_share_two_connections() {
    let release = CancellationToken::new();
    let server = Server::start({
        let release = release.clone();
        move |_| Reply::GoodAfter(release.clone())
    })
    .await;
    let pool = pool(&[&server]);
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { read(&pool).await })
        })
        .collect();
    eventually("all calls arrive", async || server.calls() == 50).await;
    release.cancel();
    for call in join_all(calls).await {
        call.unwrap().unwrap();
    }
    assert_eq!(server.most_open_connections(), 2);

    drop(pool);
    eventually("connections of a dropped pool close", async || server.open_connections() == 0).await;
}

#[tokio::test]
async fn calls_one_after_the_other_share_one_connection() {
    let server = Server::good().await;
    let pool = pool(&[&server]);
    for _ in 0..10 {
        read(&pool).await.unwrap();
    }
    assert_eq!(server.most_open_connections(), 1);
}

#[tokio::test]
async fn a_host_name_is_resolved() {
    let server = Server::good().await;
    let address: Address = format!("localhost:{}", server.address.port()).parse().unwrap();
    let pool = Pool::new(target(), StaticResolver::new([address]), PoolOptions::default());
    read(&pool).await.unwrap();
}
