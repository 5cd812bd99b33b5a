//! What a pool refuses to hold.

use shop_discovery::{Address, Pool, PoolOptions, StaticResolver};
use shop_proto::{
    status::Reason,
    user::{WatchRevocationsRequest, user_service_client::UserServiceClient},
};

use crate::support::{Reply, Seen, Server, read, reason, target};

#[tokio::test]
async fn calls_beyond_the_limit_are_refused_and_streams_count() {
    let (sender, messages) = tokio::sync::watch::channel(0);
    let server = Server::start(move |seen: &Seen| {
        if seen.path.ends_with("WatchRevocations") { Reply::Stream(messages.clone()) } else { Reply::Good }
    })
    .await;
    let options = PoolOptions { max_in_flight: 2, ..PoolOptions::default() };
    let pool = Pool::new(target(), StaticResolver::new([Address::from(server.address)]), options);
    let mut client = UserServiceClient::new(pool.clone());
    let first = client.watch_revocations(WatchRevocationsRequest::default()).await.unwrap();
    read(&pool).await.unwrap();
    let second = client.watch_revocations(WatchRevocationsRequest::default()).await.unwrap();
    assert_eq!(reason(&read(&pool).await.unwrap_err()), Reason::Overloaded);

    drop(first);
    read(&pool).await.unwrap();
    drop(sender);
    let mut second = second.into_inner();
    while second.message().await.unwrap().is_some() {}
    let third = client.watch_revocations(WatchRevocationsRequest::default()).await.unwrap();
    read(&pool).await.unwrap();
    drop(third);
}
