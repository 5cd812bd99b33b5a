//! Clients that mean harm, while others shop: the others hardly notice, and memory stays bounded.
//!
//! What is measured is relative: the same quiet load right before and during each attack. Attackers come from loopback
//! addresses of their own, as they would come from other machines.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use shop_bench::load::{Load, Mix, Operation, Plan, Report, Shape};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    process::Command,
    task::JoinSet,
};

use crate::shop::Shop;

/// How long each of the two loads goes on.
const WATCHED: Duration = Duration::from_secs(6);
/// The 99th percentile may double. What is added is the noise of a busy machine on figures of a few milliseconds.
const NOISE_MS: f64 = 25.0;
/// A machine that does other things may spoil a measurement: the attack is repeated, and has to be borne once.
const TRIES: usize = 3;
/// What the shop may grow by: a password hash a core at 19 MiB, buffers of the connections it lets in, and what the
/// allocator keeps.
const MAX_GROWTH_KIB: u64 = 128 * 1024;
/// What one connection gets to send of a body before it is cut off, the buffers of two sockets included.
const MAX_TAKEN: u64 = 16 * 1024 * 1024;
/// Attackers' addresses.
const ADDRESSES: u8 = 20;

/// An attack: goes on until it is dropped.
type Attack = JoinSet<()>;

/// Watches a quiet load without and with an attack.
async fn bears(name: &str, attack: impl Fn(SocketAddr) -> Attack) {
    let shop = Shop::start_with_demo().await;
    let gateway = shop.ready.gateway.trim_start_matches("http://").parse().unwrap();
    let mut found = Vec::new();
    for _ in 0..TRIES {
        let before = quiet(&shop).await;
        let memory = shop.memory_kib();
        let mut attackers = attack(gateway);
        let during = quiet(&shop).await;
        let grown = shop.peak_kib().saturating_sub(memory);
        while let Some(ended) = attackers.try_join_next() {
            // An assertion of an attacker's is one of the test's.
            ended.unwrap();
        }
        drop(attackers);
        assert_eq!((during.failed, during.dropped), (0, 0), "{name}: {during}");
        assert!(grown < MAX_GROWTH_KIB, "{name}: the shop grew by {grown} KiB at its peak");
        found.push((before.latency.p99_ms, during.latency.p99_ms, grown));
        if during.latency.p99_ms <= 2.0 * before.latency.p99_ms + NOISE_MS {
            println!("{name}: p99 before, p99 during (ms), growth at the peak (KiB): {found:?}");
            return;
        }
    }
    panic!("{name}: others suffered; p99 before, p99 during (ms), growth at the peak (KiB): {found:?}");
}

async fn quiet(shop: &Shop) -> Report {
    let shape = Shape::constant(20.0, WATCHED);
    let mix = Mix::of([(Operation::List, 1), (Operation::Product, 2), (Operation::Availability, 1)]);
    let warm_up = Duration::from_secs(1);
    Load::run(Plan { mix, warm_up, shoppers: 2, ..Plan::new([shop.ready.gateway.clone()], shape) }).await.unwrap()
}

/// A connection from the address of attacker `n`.
async fn connect(gateway: SocketAddr, n: u8) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 6, 6, 1 + n % ADDRESSES), 0)))?;
    socket.connect(gateway).await
}

/// So many attackers, each of whom begins again as soon as it was dealt with.
fn attackers<F, Fut>(count: u8, gateway: SocketAddr, attack: F) -> Attack
where
    F: Fn(TcpStream) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = std::io::Result<()>> + Send,
{
    let mut attackers = JoinSet::new();
    for n in 0..count {
        let attack = attack.clone();
        attackers.spawn(async move {
            loop {
                if let Ok(stream) = connect(gateway, n).await {
                    // However it is cut off, that is the shop's good right.
                    let _ = attack(stream).await;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }
    attackers
}

#[tokio::test]
async fn heads_and_bodies_that_come_a_byte_at_a_time() {
    bears("200 slow connections", |gateway| {
        attackers(200, gateway, |mut stream| async move {
            let endless =
                b"POST /api/v1/auth/login HTTP/1.1\r\nhost: shop\r\ncontent-length: 1000000\r\n\r\n{\"email\": \"";
            for byte in endless.iter().chain(std::iter::repeat(&b'x')) {
                stream.write_all(&[*byte]).await?;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Ok(())
        })
    })
    .await;
}

#[tokio::test]
async fn a_gigabyte_of_body() {
    const GIGABYTE: u64 = 1 << 30;
    let most = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&most);
    bears("1 GB bodies", move |gateway| {
        let most = Arc::clone(&most);
        attackers(8, gateway, move |mut stream| {
            let most = Arc::clone(&most);
            async move {
                let head = "POST /api/v1/auth/login HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n\
                            transfer-encoding: chunked\r\n\r\n";
                stream.write_all(head.as_bytes()).await?;
                let chunk = [&b"10000\r\n"[..], &vec![b' '; 0x10000], b"\r\n"].concat();
                let mut sent = 0;
                while sent < GIGABYTE {
                    stream.write_all(&chunk).await?;
                    sent += 0x10000;
                    most.fetch_max(sent, Ordering::Relaxed);
                }
                Ok(())
            }
        })
    })
    .await;
    let taken = seen.load(Ordering::Relaxed);
    assert!((1..MAX_TAKEN).contains(&taken), "{taken} bytes were taken of one body");
}

#[tokio::test]
async fn a_body_that_would_unpack_to_a_gigabyte() {
    let packed = Command::new("sh").args(["-c", "head -c 1073741824 /dev/zero | gzip -1"]).output().await.unwrap();
    assert!(packed.status.success() && packed.stdout.len() > 100_000);
    let length = packed.stdout.len().min(1_000_000);
    let head = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\
         content-length: {length}\r\n\r\n"
    );
    let request: Arc<[u8]> = [head.as_bytes(), &packed.stdout[..length]].concat().into();
    bears("gzip bombs", move |gateway| {
        let request = Arc::clone(&request);
        attackers(8, gateway, move |mut stream| {
            let request = Arc::clone(&request);
            async move {
                stream.write_all(&request).await?;
                expect_refusal(&mut stream).await
            }
        })
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_headers() {
    let headers = (0..10_000).map(|n| format!("x-header-{n}: value\r\n"));
    let head: String = headers.collect();
    let request: Arc<str> = format!("GET /api/v1/products HTTP/1.1\r\nhost: shop\r\n{head}\r\n").into();
    bears("10,000 headers", move |gateway| {
        let request = Arc::clone(&request);
        attackers(8, gateway, move |mut stream| {
            let request = Arc::clone(&request);
            async move {
                // The answer may come before all of it is sent.
                let _ = stream.write_all(request.as_bytes()).await;
                expect_refusal(&mut stream).await
            }
        })
    })
    .await;
}

#[tokio::test]
async fn a_storm_of_logins() {
    bears("a login storm", |gateway| {
        attackers(60, gateway, |mut stream| async move {
            let email = format!("{}@nobody.test", uuid::Uuid::new_v4());
            let body = json!({"email": email, "password": "a guess as good as any"}).to_string();
            let length = body.len();
            let head = format!(
                "POST /api/v1/auth/login HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\nconnection: close\r\n\
                 content-length: {length}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
            expect_refusal(&mut stream).await
        })
    })
    .await;
}

/// If there is an answer, it is a refusal. A connection that was cut off has none.
async fn expect_refusal(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut answer = [0; 512];
    let read = stream.read(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(read == 0 || answer.starts_with("HTTP/1.1 4"), "{answer}");
    Ok(())
}
