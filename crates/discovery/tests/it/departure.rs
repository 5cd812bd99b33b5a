//! Instances that go while calls are under way.

use std::sync::Arc;

use futures::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::Barrier,
};

use crate::support::{HEALTH, Reply, Server, pool, pool_at, read, register};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_idempotent_call_fails_when_one_of_two_is_killed() {
    let doomed = Server::good().await;
    let other = Server::good().await;
    let pool = pool(&[&doomed, &other]);
    let callers = 32;
    let barrier = Arc::new(Barrier::new(callers + 1));
    let loops: Vec<_> = (0..callers)
        .map(|_| {
            let (pool, barrier) = (pool.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                for round in 0..60 {
                    if round == 20 {
                        barrier.wait().await;
                    }
                    read(&pool).await.unwrap();
                }
            })
        })
        .collect();
    barrier.wait().await;
    assert!(doomed.calls() > 0);
    doomed.kill().await;
    for caller in join_all(loops).await {
        caller.unwrap();
    }
}

#[tokio::test]
async fn an_instance_that_restarts_between_calls_is_connected_to_again() {
    let mut server = Server::good().await;
    let pool = pool(&[&server]);
    read(&pool).await.unwrap();
    for _ in 0..3 {
        let address = server.address;
        server.drain().await;
        server = Server::start_at(address, |_| Reply::Good).await;
        register(&pool).await.unwrap();
        assert_eq!((server.calls(), server.calls_of(HEALTH)), (1, 0), "it was not ejected");
    }
}

/// A server that greets, and answers the first request with a GOAWAY that leaves it out.
async fn leave_out(listener: TcpListener) {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY_AFTER_NONE: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const HEADERS: u8 = 1;
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(&SETTINGS).await.unwrap();
    stream.read_exact(&mut [0; 24]).await.unwrap();
    let mut header = [0; 9];
    while stream.read_exact(&mut header).await.is_ok() {
        let mut payload = vec![0; usize::from(header[1]) << 8 | usize::from(header[2])];
        stream.read_exact(&mut payload).await.unwrap();
        if header[3] == HEADERS {
            stream.write_all(&GOAWAY_AFTER_NONE).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_call_that_a_goaway_leaves_out_is_repeated() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let leaving = tokio::spawn(leave_out(listener));
    let good = Server::good().await;
    let pool = pool_at([address, good.address]);
    for _ in 0..2 {
        register(&pool).await.unwrap();
    }
    assert_eq!(good.calls(), 2);
    leaving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_idempotent_call_fails_when_one_of_two_drains() {
    let leaving = Server::good().await;
    let other = Server::good().await;
    let pool = pool(&[&leaving, &other]);
    let callers = 16;
    let barrier = Arc::new(Barrier::new(callers + 1));
    let loops: Vec<_> = (0..callers)
        .map(|_| {
            let (pool, barrier) = (pool.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                for round in 0..60 {
                    if round == 20 {
                        barrier.wait().await;
                    }
                    read(&pool).await.unwrap();
                }
            })
        })
        .collect();
    barrier.wait().await;
    assert!(leaving.calls() > 0);
    leaving.drain().await;
    for caller in join_all(loops).await {
        caller.unwrap();
    }
}
