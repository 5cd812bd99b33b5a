//! The gateway's server: peer address, metrics by route, limits, drain.

use std::{io::BufRead as _, net::SocketAddr, sync::Arc};

use axum::{Extension, Router, extract::Path, routing::get as route};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use shop_server::{HttpLimits, HttpServer, ObserveHttp, Peer, Running, Shutdown, propagation};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
};

use crate::{
    client::{answer, get, http1},
    process::{PROXIES, line_with, spawn},
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
        .route("/peer", route(|Extension(peer): Extension<Peer>| async move { peer.address.ip().to_string() }))
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
async fn a_request_has_the_clients_id_or_one_of_its_own() {
    let running = start(&Shutdown::new(), &Arc::default()).await;
    let mut ids = Vec::new();
    for (sent, path) in [(Some("ticket-17"), "/peer"), (Some("no spaces"), "/peer"), (None, "/nowhere")] {
        let mut request = Request::get(path).header("host", "test");
        if let Some(id) = sent {
            request = request.header("x-request-id", id);
        }
        let response = answer(running.addresses().serve, request.body(Full::new(Bytes::new())).unwrap()).await.unwrap();
        ids.push(response.headers()["x-request-id"].to_str().unwrap().to_owned());
    }
    assert_eq!(ids[0], "ticket-17");
    assert!(ids[1] != "no spaces" && ids[1].len() > 16 && ids[2].len() > 16 && ids[1] != ids[2], "{ids:?}");
}

#[test]
fn a_log_line_has_the_requests_id() {
    let (child, mut lines, address) = http_process(&[]);
    let request = Request::get("/log").header("host", "test").header("x-request-id", "ticket-17");
    ask(address, request);
    let line: serde_json::Value = serde_json::from_str(&line_with(&mut lines, "inside a request")).unwrap();
    assert_eq!((&line["request_id"], line["trace_id"].as_str().map(str::len)), (&"ticket-17".into(), Some(32)));
    end(child);
}

/// Nobody's who asks here.
const STRANGERS: &str = "192.0.2.0/24";

#[test]
fn whether_a_trace_is_recorded_is_not_for_just_anyone_to_say() {
    // Connections wait in the system's backlog: spans are made, and go nowhere.
    let silent = std::net::TcpListener::bind(FREE_PORT).unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    for (proxies, ratio, says, flag) in [
        (STRANGERS, "0", "01", "00"),
        (STRANGERS, "1", "00", "01"),
        ("127.0.0.0/8", "0", "01", "01"),
        ("127.0.0.0/8", "1", "00", "00"),
    ] {
        let exports = ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str());
        let (child, _lines, address) = http_process(&[exports, (PROXIES, proxies), ("SHOP_TRACE_SAMPLE_RATIO", ratio)]);
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let request = Request::get("/traceparent").header("host", "test");
        let passed_on = ask(address, request.header("traceparent", format!("00-{trace}-b7ad6b7169203331-{says}")));
        assert!(passed_on.starts_with(&format!("00-{trace}-")) && passed_on.ends_with(flag), "{proxies}: {passed_on}");
        end(child);
    }
}

#[test]
fn a_new_trace_is_recorded_if_it_is_drawn_and_there_is_somewhere_to_send_it() {
    let silent = std::net::TcpListener::bind(FREE_PORT).unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let exports = ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str());
    for (variables, flag) in [
        (&[exports, ("SHOP_TRACE_SAMPLE_RATIO", "1")][..], "01"),
        (&[exports, ("SHOP_TRACE_SAMPLE_RATIO", "0")], "00"),
        (&[("SHOP_TRACE_SAMPLE_RATIO", "1")], "00"),
    ] {
        let (child, _lines, address) = http_process(variables);
        let traces = [(); 2].map(|()| ask(address, Request::get("/traceparent").header("host", "test")));
        assert!(traces.iter().all(|trace| trace.ends_with(flag)), "{variables:?}: {traces:?}");
        assert_ne!(traces[0], traces[1]);
        end(child);
    }
}

type Lines = std::io::Lines<std::io::BufReader<std::process::ChildStderr>>;

/// A process of its own, since there are one log and one sampler in each.
fn http_process(variables: &[(&str, &str)]) -> (std::process::Child, Lines, SocketAddr) {
    let mut child = spawn("http", variables);
    let mut lines = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
    let serving: serde_json::Value = serde_json::from_str(&line_with(&mut lines, "\"serving\"")).unwrap();
    let address = serving["server.address"].as_str().unwrap().parse().unwrap();
    (child, lines, address)
}

fn ask(address: SocketAddr, request: http::request::Builder) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let request = request.body(Full::new(Bytes::new())).unwrap();
    runtime.block_on(soon("an answer", http1(address, request))).unwrap().1
}

fn end(mut child: std::process::Child) {
    child.kill().unwrap();
    child.wait().unwrap();
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
