//! What is repeated, and what is not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use shop_proto::{
    order::{CreateOrderRequest, OrderLine, order_service_client::OrderServiceClient},
    status::{Reason, Refusal},
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::support::{GET_USER, HEALTH, REGISTER, Reply, Seen, Server, pool, read, reason, register};

/// Fails the first call this way, and answers the others.
fn first(failure: impl Fn() -> Reply + Send + Sync + 'static) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    let failed = AtomicBool::new(false);
    move |seen| {
        if seen.path != HEALTH && !failed.swap(true, Ordering::SeqCst) { failure() } else { Reply::Good }
    }
}

/// A way to fail a call, with its name.
type Failure = (&'static str, fn() -> Reply);

/// Each way a call can fail without its fate being known.
fn uncertain() -> Vec<Failure> {
    vec![
        ("hang-up", || Reply::Hangup),
        ("hang-up in mid-response", || Reply::HangupMidway),
        ("reset", || Reply::Reset(h2::Reason::INTERNAL_ERROR)),
        ("foreign UNAVAILABLE", || Reply::Status(Status::unavailable("no healthy upstream"))),
        ("late UNAVAILABLE", || Reply::LateStatus(Status::unavailable("no healthy upstream"))),
        ("a proxy's 503", || Reply::Http(StatusCode::SERVICE_UNAVAILABLE)),
    ]
}

#[tokio::test]
async fn a_read_is_repeated_elsewhere() {
    for (name, failure) in uncertain() {
        let servers = [Server::start(move |_| failure()).await, Server::start(move |_| failure()).await];
        let pool = pool(&servers.each_ref());
        read(&pool).await.unwrap_err();
        assert_eq!((servers[0].calls(), servers[1].calls()), (1, 1), "{name}");
    }
}

#[tokio::test]
async fn a_read_is_repeated_on_the_only_instance() {
    for (name, failure) in uncertain() {
        let server = Server::start(first(failure)).await;
        read(&pool(&[&server])).await.unwrap_or_else(|status| panic!("{name}: {status}"));
        assert_eq!(server.calls(), 2, "{name}");
    }
}

#[tokio::test]
async fn what_may_have_been_done_is_not_repeated() {
    for (name, failure) in uncertain() {
        let servers = [Server::start(move |_| failure()).await, Server::start(move |_| failure()).await];
        let pool = pool(&servers.each_ref());
        let status = register(&pool).await.unwrap_err();
        assert_eq!(reason(&status), Reason::Unavailable, "{name}");
        assert_eq!(servers[0].calls() + servers[1].calls(), 1, "{name}");
    }
}

#[tokio::test]
async fn what_the_server_did_not_look_at_is_repeated() {
    for (name, failure) in [
        ("refused stream", (|| Reply::Reset(h2::Reason::REFUSED_STREAM)) as fn() -> Reply),
        ("wrong instance", || Reply::Status(Refusal::new(Reason::WrongInstance, "Not me.").into())),
    ] {
        let server = Server::start(first(failure)).await;
        register(&pool(&[&server])).await.unwrap_or_else(|status| panic!("{name}: {status}"));
        assert_eq!(server.calls_of(REGISTER), 2, "{name}");
    }
}

#[tokio::test]
async fn an_answer_of_the_service_is_an_answer() {
    let later = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
    let answers = [
        Status::from(Refusal::new(Reason::OrderPending, "Not settled yet.").with_retry_after(Duration::from_secs(1))),
        Status::from(Refusal::new(Reason::Unavailable, "Product can't be reached.")),
        Status::from(Refusal::new(Reason::Overloaded, "Busy.")),
        Status::with_error_details(Code::Unavailable, "come back later", later),
        Status::internal("bug"),
    ];
    for answer in answers {
        let (code, message) = (answer.code(), answer.message().to_owned());
        let server = Server::start({
            let details = answer.details().to_vec();
            let message = message.clone();
            move |_| Reply::Status(Status::with_details(code, message.clone(), details.clone().into()))
        })
        .await;
        let pool = pool(&[&server]);
        for _ in 0..2 {
            let mut client = OrderServiceClient::new(pool.clone());
            let status = client.create_order(CreateOrderRequest::default()).await.unwrap_err();
            assert_eq!((status.code(), status.message()), (code, &*message));
            assert_eq!(status.details(), answer.details());
        }
        assert_eq!(server.calls(), 2, "{message}: not repeated");
        assert_eq!(server.calls_of(HEALTH), 0, "{message}: not ejected");
    }
}

#[tokio::test]
async fn retries_stop_when_the_budget_is_spent() {
    let failing = |_: &Seen| Reply::Status(Status::unavailable("overloaded proxy"));
    let servers = [Server::start(failing).await, Server::start(failing).await];
    let pool = pool(&servers.each_ref());
    let calls = 400;
    for _ in 0..calls {
        read(&pool).await.unwrap_err();
    }
    let retries = servers[0].calls_of(GET_USER) + servers[1].calls_of(GET_USER) - calls;
    assert_eq!(retries, 140 - 1, "a hundred, and one for ten calls; the first call found the budget full");
}

#[tokio::test]
async fn a_large_request_is_sent_whole_and_once() {
    let items: Vec<_> = (0..30_000).map(|n| OrderLine { product_id: format!("{n:040}"), quantity: 1 }).collect();
    let request = CreateOrderRequest { items, ..CreateOrderRequest::default() };
    let length = 5 + prost::Message::encoded_len(&request);
    assert!(length > 1024 * 1024);
    let server = Server::start(first(|| Reply::Hangup)).await;
    let mut client = OrderServiceClient::new(pool(&[&server]));
    client.create_order(request.clone()).await.unwrap_err();
    assert_eq!((server.calls(), server.last().length), (1, length));
    client.create_order(request).await.unwrap();
    assert_eq!(server.last().length, length);
}

#[tokio::test]
async fn a_repeated_request_is_the_same() {
    let server = Server::start(first(|| Reply::Hangup)).await;
    let mut client = OrderServiceClient::new(pool(&[&server]));
    let lengths = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let failing = first(|| Reply::Hangup);
    server.behave({
        let lengths = Arc::clone(&lengths);
        move |seen| {
            if seen.path != HEALTH {
                lengths.lock().push((seen.length, seen.headers.get("authorization").cloned()));
            }
            failing(seen)
        }
    });
    let mut request =
        tonic::Request::new(CreateOrderRequest { idempotency_key: "k".repeat(100), ..Default::default() });
    request.metadata_mut().insert("authorization", "Bearer token".parse().unwrap());
    client.create_order(request).await.unwrap();
    let lengths = lengths.lock();
    assert_eq!(lengths.len(), 2);
    assert_eq!(lengths[0], lengths[1]);
    assert!(lengths[0].0 > 100);
    assert!(lengths[0].1.is_some());
}
