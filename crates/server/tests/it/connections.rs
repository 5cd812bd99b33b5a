//! Clients of the public port that take more than their part, or their time.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    routing::{get, post},
};
use bytes::Bytes;
use futures::stream;
use http::{StatusCode, header};
use shop_server::{HttpLimits, HttpServer, Running, Shutdown};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    service::{self, FREE_PORT, options},
    soon,
};

/// Told when it is dropped.
struct Held(Arc<AtomicBool>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Server {
    address: SocketAddr,
    /// Whether an endless answer was given up.
    given_up: Arc<AtomicBool>,
    shutdown: Shutdown,
    _running: Running,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

async fn start(limits: HttpLimits) -> Server {
    service::telemetry();
    let given_up = Arc::new(AtomicBool::new(false));
    let held = Arc::clone(&given_up);
    let endless = move || async move {
        let held = Held(held);
        Body::from_stream(stream::repeat_with(move || {
            let _ = &held;
            Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b'x'; 16 * 1024]))
        }))
    };
    let refuse = || async { (StatusCode::PAYLOAD_TOO_LARGE, [(header::CONNECTION, "close")], "too large") };
    let router =
        Router::new().route("/", get(|| async { "fine" })).route("/endless", get(endless)).route("/", post(refuse));
    let shutdown = Shutdown::new();
    let running = HttpServer::bind("gateway", FREE_PORT, &options()).await.unwrap().start(router, limits, &shutdown);
    Server { address: running.addresses().serve, given_up, shutdown, _running: running }
}

/// A GET on a connection that stays open; none when the server closes it instead.
async fn ask(socket: &mut TcpStream) -> Option<String> {
    socket.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.ok()?;
    let mut answer = vec![0; 15];
    soon("an answer or the end", socket.read_exact(&mut answer)).await.ok()?;
    Some(String::from_utf8(answer).unwrap())
}

const FINE: Option<&str> = Some("HTTP/1.1 200 OK");

#[tokio::test]
async fn one_address_has_so_many_connections_and_gets_them_back() {
    let server = start(HttpLimits { connections_per_address: 2, ..HttpLimits::default() }).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(ask(&mut first).await.as_deref(), FINE);
    assert_eq!(ask(&mut second).await.as_deref(), FINE);
    let mut third = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(ask(&mut third).await, None);
    // Those that are open work on, and one that ends makes room.
    drop(first);
    let again = async {
        loop {
            let mut socket = TcpStream::connect(server.address).await.unwrap();
            if ask(&mut socket).await.is_some() {
                return;
            }
        }
    };
    soon("room for another", again).await;
    drop(second);
}

#[tokio::test]
async fn another_address_and_a_proxy_have_connections_of_their_own() {
    let limits = || HttpLimits { connections_per_address: 1, ..HttpLimits::default() };
    let from = async |address: [u8; 4], server: &Server| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((address, 0))).unwrap();
        socket.connect(server.address).await.unwrap()
    };
    let server = start(limits()).await;
    let mut one = from([127, 0, 0, 1], &server).await;
    assert_eq!(ask(&mut one).await.as_deref(), FINE);
    let mut other = from([127, 0, 0, 2], &server).await;
    assert_eq!(ask(&mut other).await.as_deref(), FINE);
    let mut too_many = from([127, 0, 0, 2], &server).await;
    assert_eq!(ask(&mut too_many).await, None);

    let server = start(HttpLimits { proxies: vec!["127.0.0.2/32".parse().unwrap()], ..limits() }).await;
    let mut connections = Vec::new();
    for _ in 0..5 {
        let mut connection = from([127, 0, 0, 2], &server).await;
        assert_eq!(ask(&mut connection).await.as_deref(), FINE);
        connections.push(connection);
    }
}

#[tokio::test]
async fn a_head_has_so_much_time_however_busily_it_trickles() {
    let server = start(HttpLimits { head_timeout: Duration::from_millis(300), ..HttpLimits::default() }).await;
    let socket = TcpStream::connect(server.address).await.unwrap();
    let (mut read, mut write) = socket.into_split();
    let begun = Instant::now();
    let trickle = async move {
        let head = b"GET / HTTP/1.1\r\nhost: test\r\nx-slow: ".iter().chain(std::iter::repeat(&b'x'));
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        for byte in head {
            pace.tick().await;
            if write.write_all(&[*byte]).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let ended = async { read.read_to_end(&mut Vec::new()).await };
    tokio::select! {
        _ = soon("the end of the connection", ended) => {}
        () = trickle => unreachable!("it never ends"),
    }
    assert!((Duration::from_millis(250)..Duration::from_secs(5)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn who_reads_nothing_is_not_sent_to_for_ever() {
    let server = start(HttpLimits { write_timeout: Duration::from_millis(300), ..HttpLimits::default() }).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(b"GET /endless HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let given_up = async {
        while !server.given_up.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    };
    soon("the end of the answer", given_up).await;
    // Whoever reads is served meanwhile.
    let mut other = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(ask(&mut other).await.as_deref(), FINE);
}

#[tokio::test]
async fn an_answer_arrives_though_the_request_was_not_read() {
    let server = start(HttpLimits::default()).await;
    for _ in 0..5 {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let head = format!("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n", 1 << 30);
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&vec![b'x'; 2 * 1024 * 1024]).await.unwrap();
        let mut answer = Vec::new();
        soon("the whole answer", socket.read_to_end(&mut answer)).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 413") && answer.ends_with("too large"), "{answer}");
    }
}
