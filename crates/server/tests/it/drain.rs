//! Leaving in order: in-flight calls finish, new ones are refused, streams end, the admin port closes last.

use std::{net::SocketAddr, time::Duration};

use futures::StreamExt as _;
use http::StatusCode;
use http_body_util::BodyExt as _;
use shop_server::{GrpcServer, HttpLimits, HttpServer, Running, ServerError, ServerOptions, Shutdown};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::service::Routes;
use tower_service::Service as _;

use crate::{
    client::{connect, get},
    service::{FREE_PORT, NAME, STREAM_PATH, answer, ask, options, start},
    soon,
};

/// Polls until nobody listens there any more.
async fn closed(address: SocketAddr) {
    let mut beat = tokio::time::interval(Duration::from_millis(5));
    while TcpStream::connect(address).await.is_ok() {
        beat.tick().await;
    }
}

#[tokio::test]
async fn a_drain_finishes_calls_in_flight_and_takes_no_more() {
    let server = start(options()).await;
    let (serve, admin) = (server.serve(), server.admin());
    let mut client = server.client().await;
    let in_flight = tokio::spawn(async move { answer(&mut client, ask("wait")).await });
    soon("the call's start", server.events.entered.notified()).await;

    server.shutdown.begin();
    soon("the closing of the port", closed(serve)).await;
    assert!(server.shutdown.token().is_cancelled(), "background tasks were not told");
    assert!(!server.shutdown.drained().is_cancelled(), "a request is in flight");
    assert_eq!(get(admin, "/livez").await.unwrap().0, StatusCode::OK);
    assert_eq!(get(admin, "/readyz").await.unwrap().0, StatusCode::SERVICE_UNAVAILABLE);

    server.events.go_on.notify_one();
    assert_eq!(in_flight.await.unwrap().unwrap(), "wait");
    soon("the end of the drain", server.shutdown.drained().cancelled()).await;
    soon("the end", server.running.join()).await.unwrap();
    assert!(TcpStream::connect(admin).await.is_err(), "the admin port is still open");
}

#[tokio::test]
async fn calls_that_outlive_the_drain_are_cut() {
    let limits = ServerOptions {
        drain_timeout: Duration::from_millis(50),
        // Out of the way: the call must not end by its own limit.
        request_timeout: crate::PATIENCE * 100,
        ..options()
    };
    let server = start(limits).await;
    let mut client = server.client().await;
    let in_flight = tokio::spawn(async move { answer(&mut client, ask("hang")).await });
    soon("the call's start", server.events.entered.notified()).await;
    server.shutdown.begin();
    soon("the end", server.running.join()).await.unwrap();
    soon("the handler's end", server.events.dropped.notified()).await;
    in_flight.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_stream_outlives_the_unary_limit_and_ends_with_the_drain() {
    let server = start(ServerOptions { request_timeout: Duration::from_millis(100), ..options() }).await;
    let mut connection = connect(server.serve()).await.unwrap();
    let request = http::Request::post(STREAM_PATH).header("content-type", "application/grpc");
    let response = connection.call(request.body(tonic::body::Body::empty()).unwrap()).await.unwrap();
    let mut frames = response.into_body().into_data_stream();
    assert_eq!(frames.next().await.unwrap().unwrap().len(), 5);

    let beyond_the_limit = tokio::time::timeout(Duration::from_millis(300), frames.next()).await;
    assert!(beyond_the_limit.is_err(), "the stream ended by itself");

    server.shutdown.begin();
    assert!(soon("the stream's end", frames.next()).await.is_none());
    soon("the end", server.running.join()).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_ends_with_the_drain_says_unavailable() {
    let server = start(options()).await;
    let mut connection = connect(server.serve()).await.unwrap();
    let request = http::Request::post(STREAM_PATH).header("content-type", "application/grpc");
    let response = connection.call(request.body(tonic::body::Body::empty()).unwrap()).await.unwrap();
    server.shutdown.begin();
    let collected = soon("the stream's end", response.into_body().collect()).await.unwrap();
    let status = tonic::Status::from_header_map(collected.trailers().unwrap()).unwrap();
    assert_eq!(status.code(), tonic::Code::Unavailable);
}

#[tokio::test]
async fn a_start_that_is_asked_to_leave_ends() {
    let server = GrpcServer::bind(NAME, FREE_PORT, &options()).await.unwrap();
    let _closed = server.readiness().gate("upstreams");
    let shutdown = Shutdown::new();
    let running = server.start(Routes::default(), tower_layer::Identity::new(), &shutdown);
    let start = tokio::spawn({
        let readiness = running.readiness().clone();
        async move { readiness.ready().await }
    });
    shutdown.begin();
    soon("the start's end", start).await.unwrap();
    assert!(!running.readiness().is_ready());
    soon("the end", running.join()).await.unwrap();
}

async fn http_server(lead: Duration, shutdown: &Shutdown) -> Running {
    let options = ServerOptions { drain_lead: lead, ..options() };
    let router = axum::Router::new().route("/", axum::routing::get(async || "answered"));
    let server = HttpServer::bind("gateway", FREE_PORT, &options).await.unwrap();
    server.start(router, HttpLimits::default(), shutdown)
}

async fn asked(connection: &mut TcpStream) -> String {
    connection.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 1024];
    let length = soon("an answer", connection.read(&mut answer)).await.unwrap();
    String::from_utf8(answer[..length].to_vec()).unwrap()
}

#[tokio::test]
async fn a_leaving_http_server_sends_its_clients_away_with_their_answers() {
    let shutdown = Shutdown::new();
    let running = http_server(crate::PATIENCE, &shutdown).await;
    let mut connection = TcpStream::connect(running.addresses().serve).await.unwrap();
    assert!(!asked(&mut connection).await.contains("connection: close"));
    shutdown.begin();
    while running.readiness().is_ready() {
        tokio::task::yield_now().await;
    }
    assert!(asked(&mut connection).await.contains("connection: close"));
    assert_eq!(soon("the end", connection.read(&mut [0; 16])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_request_on_a_connection_that_was_there_before_the_drain_is_answered() {
    let shutdown = Shutdown::new();
    let running = http_server(Duration::ZERO, &shutdown).await;
    let address = running.addresses().serve;
    let mut connection = TcpStream::connect(address).await.unwrap();
    shutdown.begin();
    soon("the closing of the port", closed(address)).await;
    assert!(asked(&mut connection).await.ends_with("answered"));
    soon("the end", running.join()).await.unwrap();
}

#[tokio::test]
async fn connections_that_say_nothing_do_not_hold_up_the_drain() {
    let shutdown = Shutdown::new();
    let http = http_server(Duration::ZERO, &shutdown).await;
    let grpc = start(options()).await;
    let _silent =
        [TcpStream::connect(http.addresses().serve).await.unwrap(), TcpStream::connect(grpc.serve()).await.unwrap()];
    shutdown.begin();
    grpc.shutdown.begin();
    // Requests in flight would have twice as long.
    soon("the end of both", async { tokio::join!(http.join(), grpc.running.join()) }).await.0.unwrap();
}

#[tokio::test]
async fn a_taken_port_is_one_clear_line() {
    let taken = tokio::net::TcpListener::bind(FREE_PORT).await.unwrap().local_addr().unwrap();
    let held = std::net::TcpListener::bind(taken).unwrap();
    let error = GrpcServer::bind(NAME, FREE_PORT, &ServerOptions::embedded(taken)).await.unwrap_err();
    assert!(matches!(error, ServerError::Bind { .. }));
    let line = format!("{:#}", anyhow::Error::from(error));
    let address = held.local_addr().unwrap().to_string();
    for part in [address.as_str(), "--listen", "SHOP_LISTEN", "gRPC", "in use"] {
        assert!(line.contains(part), "{part:?} is not in {line:?}");
    }
    assert!(!line.contains('\n'));
}

#[tokio::test]
async fn a_server_that_never_starts_gives_its_ports_back() {
    let server = GrpcServer::bind(NAME, FREE_PORT, &options()).await.unwrap();
    let addresses = server.addresses();
    drop(server);
    soon("the closing of the port", closed(addresses.serve)).await;
    soon("the closing of the admin port", closed(addresses.admin)).await;
}
