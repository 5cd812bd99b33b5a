//! What every call carries.

use std::time::Duration;

use opentelemetry::{
    Context,
    context::FutureExt as _,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use shop_proto::user::{GetUserRequest, WatchRevocationsRequest, user_service_client::UserServiceClient};
use shop_server::deadline::{Deadline, scope};
use tonic::Request;

use crate::support::{Reply, Server, pool, read};

/// `grpc-timeout` in microseconds, which is how the pool writes short ones.
fn timeout(server: &Server) -> u64 {
    let last = server.last();
    last.headers["grpc-timeout"].to_str().unwrap().strip_suffix('u').unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_call_names_its_target() {
    let server = Server::good().await;
    read(&pool(&[&server])).await.unwrap();
    assert_eq!(server.last().headers["x-shop-target"], "demo/user");
}

#[tokio::test]
async fn a_call_says_how_long_it_waits() {
    let server = Server::good().await;
    let pool = pool(&[&server]);
    read(&pool).await.unwrap();
    assert!((9_000_000..=10_000_000).contains(&timeout(&server)), "the default");

    scope(Deadline::after(Duration::from_secs(3)), read(&pool)).await.unwrap();
    assert!((2_000_000..=3_000_000).contains(&timeout(&server)), "what the request at work has left");

    for (left, most) in [(3_000, 2_950_000), (400, 360_000)] {
        scope(Deadline::after(Duration::from_millis(left)), read(&pool)).await.unwrap();
        assert!((1..=most).contains(&timeout(&server)), "the server gives up before its caller");
    }

    for (own, expected) in [(1, 1), (5, 3)] {
        let mut request = Request::new(GetUserRequest::default());
        request.set_timeout(Duration::from_secs(own));
        let mut client = UserServiceClient::new(pool.clone());
        scope(Deadline::after(Duration::from_secs(3)), client.get_user(request)).await.unwrap();
        let range = (expected - 1) * 1_000_000..=expected * 1_000_000;
        assert!(range.contains(&timeout(&server)), "the smaller of the call's own and what is left");
    }
}

#[tokio::test]
async fn a_stream_has_no_end_unless_somebody_set_one() {
    let (_sender, messages) = tokio::sync::watch::channel(0);
    let server = Server::start(move |_| Reply::Stream(messages.clone())).await;
    let mut client = UserServiceClient::new(pool(&[&server]));
    let mut stream = client.watch_revocations(WatchRevocationsRequest::default()).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    assert!(!server.last().headers.contains_key("grpc-timeout"));

    let mut request = Request::new(WatchRevocationsRequest::default());
    request.set_timeout(Duration::from_millis(200));
    let mut stream = client.watch_revocations(request).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_call_carries_the_trace() {
    let server = Server::good().await;
    let span = SpanContext::new(
        TraceId::from_hex("4bf92f3577b34da6a3ce929d0e0e4736").unwrap(),
        SpanId::from_hex("00f067aa0ba902b7").unwrap(),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );
    let context = Context::new().with_remote_span_context(span);
    read(&pool(&[&server])).with_context(context).await.unwrap();
    let expected = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(server.last().headers["traceparent"], expected);
}
