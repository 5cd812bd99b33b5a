//! Bodies that come slowly, in pieces, compressed, or in numbers.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use reqwest::Method;
use serde_json::json;
use shop_proto::user;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    Client, Gateway, PATIENCE, until,
    wire::{self, ID},
};

const LOGIN: &str = r#"{"email": "ada@example.com", "password": "correct horse battery"}"#;

fn tokens() -> user::LoginResponse {
    let tokens = user::Tokens { access_token: "a".into(), refresh_token: "r".into(), expires_in: 300 };
    user::LoginResponse { tokens: Some(tokens) }
}

/// The head of a login, and so much of its body.
async fn begin(client: &Client, length: usize, sent: &str) -> TcpStream {
    begin_with(client, "", length, sent).await
}

/// The same with more in its head.
async fn begin_with(client: &Client, more: &str, length: usize, sent: &str) -> TcpStream {
    let mut socket = client.connect().await;
    let head = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{more}content-length: {length}\r\n\r\n{sent}"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

async fn answer(mut socket: TcpStream) -> String {
    let mut answer = Vec::new();
    let read = socket.read_to_end(&mut answer);
    tokio::time::timeout(PATIENCE, read).await.expect("an answer and the end of the connection").unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_body_that_does_not_come_is_told_so() {
    let gateway = Gateway::start_with(|options| options.edge.body_timeout = Duration::from_millis(300)).await;
    let started = Instant::now();
    let answer = answer(begin(&gateway.anonymous(), 60, r#"{"email""#).await).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("REQUEST_TIMEOUT"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(started.elapsed() >= Duration::from_millis(300));
    assert!(gateway.upstream.calls("Login").is_empty());
}

#[tokio::test]
async fn a_trickle_does_not_keep_a_body_alive() {
    let gateway = Gateway::start_with(|options| options.edge.body_timeout = Duration::from_millis(300)).await;
    let (mut read, mut write) = begin(&gateway.anonymous(), 100_000, "").await.into_split();
    let trickle = async move {
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        loop {
            pace.tick().await;
            if write.write_all(b" ").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut answer = vec![0; 12];
    let read = tokio::time::timeout(PATIENCE, read.read_exact(&mut answer));
    tokio::select! {
        read = read => drop(read.expect("the gateway gives up").unwrap()),
        () = trickle => {}
    }
    assert_eq!(answer, b"HTTP/1.1 408");
}

#[tokio::test]
async fn a_slow_body_that_keeps_coming_is_read_beyond_the_time_of_a_request() {
    let gateway = Gateway::start_with(|options| {
        options.server.request_timeout = Duration::from_millis(400);
        options.edge.body_timeout = Duration::from_secs(30);
    })
    .await;
    gateway.upstream.answers("Login", &tokens());
    let mut socket = begin_with(&gateway.anonymous(), "connection: close\r\n", LOGIN.len(), "").await;
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    for byte in LOGIN.bytes() {
        pace.tick().await;
        socket.write_all(&[byte]).await.unwrap();
    }
    let answer = answer(socket).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // The services still get the whole time of a request.
    let call = gateway.upstream.calls("Login").pop().unwrap();
    let timeout = call.headers["grpc-timeout"].to_str().unwrap().to_owned();
    assert!(timeout.ends_with('u') || timeout.ends_with('m') || timeout.ends_with('n'), "{timeout}");
}

#[tokio::test]
async fn slow_bodies_keep_no_places_from_others() {
    let gateway = Gateway::start_with(|options| options.server.max_in_flight = 2).await;
    gateway.upstream.answers("GetProduct", &wire::product_reply());
    gateway.upstream.answers("Login", &tokens());
    let client = gateway.anonymous();
    let mut slow = Vec::new();
    for _ in 0..50 {
        slow.push(begin(&client, LOGIN.len(), &LOGIN[..LOGIN.len() - 1]).await);
    }
    for _ in 0..20 {
        client.get("/products/mug").await.expect(200);
    }
    // And those that come to an end are answered.
    let mut last = slow.pop().unwrap();
    last.write_all(&LOGIN.as_bytes()[LOGIN.len() - 1..]).await.unwrap();
    let mut head = vec![0; 12];
    tokio::time::timeout(PATIENCE, last.read_exact(&mut head)).await.unwrap().unwrap();
    assert_eq!(head, b"HTTP/1.1 200");
    assert_eq!(gateway.upstream.calls("Login").len(), 1);
}

#[tokio::test]
async fn slow_bodies_of_one_client_are_so_many() {
    let gateway = Gateway::start_with(|options| options.edge.max_in_flight_per_client = 3).await;
    let client = gateway.anonymous();
    let slow = [begin(&client, 60, "{").await, begin(&client, 60, "{").await, begin(&client, 60, "{").await];
    until("the fourth is too many", async || client.get("/nothing").await.status == 429).await;
    gateway.customer().get("/nothing").await.problem(404, "NOT_FOUND");
    drop(slow);
    until("room again", async || client.get("/nothing").await.status == 404).await;
}

#[tokio::test]
async fn what_all_bodies_hold_is_bounded() {
    let gateway = Gateway::start().await;
    let client = gateway.anonymous();
    // 64 MiB are all there is: of eight megabytes more, eight at least find no room.
    let almost = format!("{{\"email\": \"{}", "x".repeat(1024 * 1024 - 64));
    let clients: Vec<_> = (0..9).map(|_| gateway.customer()).collect();
    let sent = (0..72).map(|n: usize| {
        let (client, almost) = (&clients[n / 8], &almost);
        let token = format!("authorization: Bearer {}\r\n", client.token());
        async move { answer(begin_with(client, &token, 1024 * 1024, almost).await).await }
    });
    let mut sent: FuturesUnordered<_> = sent.collect();
    for _ in 0..8 {
        let answer = sent.next().await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("OVERLOADED"), "{answer}");
    }
    // And one alone has an eighth of it.
    drop(sent);
    let sent = (0..9).map(|_| async { answer(begin(&client, 1024 * 1024, &almost).await).await });
    let mut sent: FuturesUnordered<_> = sent.collect();
    let answer = sent.next().await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("RATE_LIMITED"), "{answer}");
    drop(sent);
    gateway.upstream.answers("Login", &tokens());
    until("room again", async || {
        let padded = format!("{LOGIN}{}", " ".repeat(512 * 1024));
        let request = client.request(Method::POST, "/auth/login").header("content-type", "application/json");
        client.send(request.body(padded)).await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_compressed_body_is_never_expanded() {
    let gateway = Gateway::start().await;
    let staff = gateway.staff();
    for coding in ["gzip", "br", "zstd", "deflate", "identity, gzip", "GZIP"] {
        let adjustments = format!("/products/{ID}/inventory/adjustments");
        for (path, key) in [("/auth/login", None), ("/webhooks/payments", None), (adjustments.as_str(), Some("k"))] {
            let mut request =
                staff.request(Method::POST, path).header("content-encoding", coding).body(vec![0x1f, 0x8b]);
            request = request.header("content-type", "application/json");
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            staff.send(request).await.problem(415, "UNSUPPORTED_MEDIA_TYPE");
        }
    }
    gateway.upstream.answers("Login", &tokens());
    let request = staff.request(Method::POST, "/auth/login").header("content-encoding", "identity");
    staff.send(request.header("content-type", "application/json").body(LOGIN)).await.expect(200);
}

#[tokio::test]
async fn a_body_may_come_in_any_pieces() {
    let gateway = Gateway::start().await;
    gateway.upstream.answers("Login", &tokens());
    let client = gateway.anonymous();
    for size in [1, 7, 64] {
        let mut request =
            "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
                .to_owned();
        for piece in LOGIN.as_bytes().chunks(size) {
            write!(request, "{:x}\r\n{}\r\n", piece.len(), String::from_utf8_lossy(piece)).unwrap();
        }
        request.push_str("0\r\nx-trailer: ignored\r\n\r\n");
        let mut socket = client.connect().await;
        socket.write_all(request.as_bytes()).await.unwrap();
        let answer = answer(socket).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let sent = gateway.upstream.last::<user::LoginRequest>("Login");
    assert_eq!((sent.email.as_str(), sent.password.as_str()), ("ada@example.com", "correct horse battery"));
}

#[tokio::test]
async fn a_gigabyte_is_refused_and_heard_of() {
    let gateway = Gateway::start().await;
    let mut socket = begin(&gateway.anonymous(), 1 << 30, "").await;
    // A client that sends on regardless for a while still finds its answer.
    let megabyte = vec![b' '; 1024 * 1024];
    for _ in 0..2 {
        socket.write_all(&megabyte).await.unwrap();
    }
    let answer = answer(socket).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("BODY_TOO_LARGE"), "{answer}");
}

#[tokio::test]
async fn who_is_refused_need_not_send_the_body() {
    let gateway = Gateway::start().await;
    let mut socket = gateway.anonymous().connect().await;
    let head = "POST /api/v1/products HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 60\r\nexpect: 100-continue\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let answer = answer(socket).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let client = gateway.staff();
    let body =
        json!({"sku": "MUG", "slug": "mug", "name": "Mug", "price": {"amount": 1, "currency": "USD"}}).to_string();
    let mut socket = client.connect().await;
    let head = format!(
        "POST /api/v1/products HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        client.token(),
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = vec![0; 25];
    tokio::time::timeout(PATIENCE, socket.read_exact(&mut go_on)).await.unwrap().unwrap();
    assert_eq!(go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
}
