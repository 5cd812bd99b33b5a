//! The gateway's server: peer address, metrics by route, limits, drain.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{ConnectInfo, Path},
    routing::get as route,
};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use shop_server::{HttpLimits, HttpServer, ObserveHttp, Running, Shutdown, propagation};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
};

use crate::{
    client::{get, http1},
    service::{self, FREE_PORT, options},
    soon,
};

#[derive(Default)]
struct Events {
    entered: Notify,
    go_on: Notify,
}

async fn start(shutdown: &Shutdown, events: &Arc<Events>) -> Running {
    start_with(shutdown, events, HttpLimits::default()).await
}

async fn start_with(shutdown: &Shutdown, events: &Arc<Events>, limits: HttpLimits) -> Running {
    service::telemetry();
    let events = Arc::clone(events);
    let wait = move || async move {
        events.entered.notify_one();
        events.go_on.notified().await;
        "waited"
    };
    let router = Router::new()
        .route("/peer", route(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }))
        .route("/things/{id}", route(|Path(id): Path<String>| async move { id }))
        .route("/trace", route(|| async { propagation::current_trace_id().unwrap_or_default() }))
        .route("/wait", route(wait))
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(ObserveHttp::new("gateway"));
    HttpServer::bind("gateway", FREE_PORT, &options()).await.unwrap().start(router, limits, shutdown)
}

#[tokio::test]
async fn handlers_know_the_peer_and_the_trace() {
    let running = start(&Shutdown::new(), &Arc::default()).await;
    let serve = running.addresses().serve;
    assert_eq!(get(serve, "/peer").await.unwrap().1, "127.0.0.1");
    let request = Request::get("/trace")
        .header("host", "test")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
        .body(Full::new(Bytes::new()))
        .unwrap();
    assert_eq!(http1(serve, request).await.unwrap().1, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(get(serve, "/trace").await.unwrap().1.len(), 32);
}

#[tokio::test]
async fn metrics_count_requests_by_route_and_status() {
    let running = start(&Shutdown::new(), &Arc::default()).await;
    let addresses = running.addresses();
    for path in ["/things/1", "/things/2", "/nowhere/at/all"] {
        get(addresses.serve, path).await.unwrap();
    }
    let (_, body) = get(addresses.admin, "/metrics").await.unwrap();
    for (route, status) in [("/things/{id}", "200"), ("unmatched", "404")] {
        let counted = body.lines().any(|line| {
            line.starts_with("http_server_request_duration_seconds_count{")
                && line.contains(&format!(r#"http_route="{route}""#))
                && line.contains(&format!(r#"http_response_status_code="{status}""#))
                && line.contains(r#"http_request_method="GET""#)
        });
        assert!(counted, "no {route} with {status} in\n{body}");
    }
    assert!(!body.contains("/nowhere"), "a client can grow the metrics");
}

#[tokio::test]
async fn a_drain_finishes_requests_in_flight() {
    let (shutdown, events) = (Shutdown::new(), Arc::<Events>::default());
    let running = start(&shutdown, &events).await;
    let serve = running.addresses().serve;
    let in_flight = tokio::spawn(async move { get(serve, "/wait").await });
    soon("the request's start", events.entered.notified()).await;
    shutdown.begin();
    soon("the drain's start", shutdown.token().cancelled()).await;
    events.go_on.notify_one();
    assert_eq!(in_flight.await.unwrap().unwrap(), (StatusCode::OK, "waited".to_owned()));
    soon("the end", running.join()).await.unwrap();
    assert!(TcpStream::connect(serve).await.is_err());
}

#[tokio::test]
async fn an_oversized_head_is_refused() {
    let running = start(&Shutdown::new(), &Arc::default()).await;
    let mut socket = TcpStream::connect(running.addresses().serve).await.unwrap();
    let head = format!("GET /peer HTTP/1.1\r\nhost: test\r\nx-large: {}\r\n\r\n", "a".repeat(64 * 1024));
    // The server may answer and close before it has read everything.
    let _ = socket.write_all(head.as_bytes()).await;
    let mut answer = [0; 12];
    soon("an answer", socket.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");
}
