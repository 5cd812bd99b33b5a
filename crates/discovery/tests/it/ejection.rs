//! Instances that are not well, and how they come back.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use shop_discovery::{Pool, PoolOptions};
use shop_proto::{
    status::{Reason, Refusal},
    user::{GetUserRequest, WatchRevocationsRequest, user_service_client::UserServiceClient},
};
use shop_server::deadline::{Deadline, scope};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket},
    sync::watch,
    time::Instant,
};
use tonic::{Code, Request, Status};
use tower_service::Service as _;

use crate::support::{
    HEALTH, REGISTER, Reply, Seen, Server, TestResolver, eventually, pool, pool_at, read, reason, register, target,
};

/// A port that refuses connections and stays ours.
fn refusing() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[tokio::test]
async fn an_instance_that_refuses_is_left_alone_and_comes_back_after_its_restart() {
    let first = Server::good().await;
    let second = Server::good().await;
    let pool = pool(&[&first, &second]);
    for _ in 0..4 {
        read(&pool).await.unwrap();
    }
    assert_eq!(first.calls(), 2);
    let address = first.kill().await;
    for _ in 0..10 {
        // Also what may not be repeated: nothing was sent to the one that is gone.
        register(&pool).await.unwrap();
    }

    let first = Server::start_at(address, |_| Reply::Good).await;
    eventually("it is probed", async || first.calls_of(HEALTH) > 0).await;
    eventually("it gets calls again", async || {
        read(&pool).await.unwrap();
        first.calls() > 0
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_dies_between_calls_is_out_before_the_next() {
    let doomed = Server::good().await;
    let good = Server::good().await;
    let pool = pool(&[&doomed, &good]);
    // For longer than a connection must have lasted to be worth another.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(200) {
        register(&pool).await.unwrap();
    }
    let address = doomed.kill().await;
    let vacant = TcpListener::bind(address).await.unwrap();
    let knock = tokio::time::timeout(Duration::from_secs(10), vacant.accept()).await;
    drop((knock.expect("it is looked for though nobody calls").unwrap(), vacant));

    // Whoever has its address now would take calls, and says that it is not well.
    let heir = Server::start_at(address, |_| Reply::Status(Status::unavailable("somebody else"))).await;
    eventually("it is probed", async || heir.calls_of(HEALTH) > 0).await;
    for _ in 0..10 {
        register(&pool).await.unwrap();
    }
    assert_eq!(heir.calls(), 0);
}

#[tokio::test]
async fn the_only_instance_fails_fast_and_serves_again_at_once() {
    let server = Server::good().await;
    let pool = pool(&[&server]);
    read(&pool).await.unwrap();
    let address = server.kill().await;

    let began = Instant::now();
    for _ in 0..20 {
        let refused = read(&pool).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        let refusal = Refusal::from_status(&refused);
        assert_eq!(refusal.reason, Reason::Unavailable);
        assert!(refusal.retry_after.is_some());
    }
    assert!(began.elapsed() < Duration::from_secs(5), "twenty refusals took {:?}", began.elapsed());

    let _server = Server::start_at(address, |_| Reply::Good).await;
    read(&pool).await.expect("with every instance ejected, one is tried anyway");
}

#[tokio::test]
async fn an_instance_that_accepts_and_says_nothing_costs_one_wait() {
    // The kernel accepts; nobody ever reads.
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = Server::good().await;
    let pool = pool_at([hanging.local_addr().unwrap(), good.address]);
    let began = Instant::now();
    for _ in 0..10 {
        register(&pool).await.unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(6), "ten calls took {:?}", began.elapsed());
    assert_eq!(good.calls(), 10);
}

#[tokio::test]
async fn garbage_costs_nothing() {
    for garbage in [&b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..], &[0xff; 64], b""] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let speaking = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut preface = [0; 24];
                let _ = stream.read_exact(&mut preface).await;
                let _ = stream.write_all(garbage).await;
            }
        });
        let good = Server::good().await;
        let pool = pool_at([address, good.address]);
        let began = Instant::now();
        for _ in 0..10 {
            register(&pool).await.unwrap();
        }
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!(good.calls(), 10);

        let alone = pool_at([address]);
        assert_eq!(reason(&read(&alone).await.unwrap_err()), Reason::Unavailable);
        speaking.abort();
    }
}

async fn read_within(pool: &Pool, timeout: Duration) -> Result<(), Status> {
    let mut request = Request::new(GetUserRequest::default());
    request.set_timeout(timeout);
    UserServiceClient::new(pool.clone()).get_user(request).await.map(drop)
}

#[tokio::test]
async fn an_instance_that_never_answers_times_out_once() {
    let hanging = Server::start(|_| Reply::Never).await;
    let good = Server::good().await;
    let pool = pool(&[&hanging, &good]);
    let mut timed_out = 0;
    for _ in 0..10 {
        if let Err(status) = read_within(&pool, Duration::from_secs(1)).await {
            assert_eq!(status.code(), Code::DeadlineExceeded);
            assert_eq!(reason(&status), Reason::DeadlineExceeded);
            timed_out += 1;
        }
    }
    assert_eq!((timed_out, hanging.calls(), good.calls()), (1, 1, 9));
}

#[tokio::test]
async fn a_time_out_counts_when_the_caller_stops_first() {
    let hanging = Server::start(|_| Reply::Never).await;
    let good = Server::good().await;
    let pool = pool(&[&hanging, &good]);
    let mut dropped = 0;
    for _ in 0..10 {
        let deadline = Deadline::after(Duration::from_millis(500));
        // As a server's deadline layer does it: the handler's future, with the call in it, is dropped.
        let handler = scope(deadline, read(&pool));
        dropped += usize::from(!matches!(tokio::time::timeout_at(deadline.moment(), handler).await, Ok(Ok(()))));
    }
    assert_eq!((dropped, hanging.calls()), (1, 1));
}

#[tokio::test]
async fn an_instance_that_is_slow_once_is_back_after_its_probe() {
    let slow = Server::start(|seen| if seen.path == HEALTH { Reply::Good } else { Reply::Never }).await;
    let pool = pool(&[&slow]);
    assert_eq!(reason(&read_within(&pool, Duration::from_millis(300)).await.unwrap_err()), Reason::DeadlineExceeded);
    eventually("it is probed", async || slow.calls_of(HEALTH) == 1).await;
    slow.behave(|_| Reply::Good);
    read(&pool).await.unwrap();
}

#[tokio::test]
async fn a_call_from_before_an_ejection_says_nothing_about_later() {
    let slow = Server::start(|seen| if seen.path == HEALTH { Reply::Good } else { Reply::Never }).await;
    let resolver = TestResolver::new(&[&slow]);
    let pool = Pool::new(target(), &resolver, PoolOptions::default());
    let patient = tokio::spawn({
        let pool = pool.clone();
        async move { read_within(&pool, Duration::from_secs(2)).await }
    });
    read_within(&pool, Duration::from_millis(300)).await.unwrap_err();
    slow.behave(|_| Reply::Good);
    eventually("the instance is back", async || read(&pool).await.is_ok()).await;

    let other = Server::good().await;
    resolver.set(&[&slow, &other]);
    eventually("the other one is known", async || read(&pool).await.is_ok() && other.calls() > 0).await;
    patient.await.unwrap().unwrap_err();
    let before = slow.calls();
    for _ in 0..10 {
        read(&pool).await.unwrap();
    }
    assert_eq!(slow.calls() - before, 5);
}

#[tokio::test]
async fn a_call_that_succeeds_in_spite_of_all_brings_its_instance_back() {
    let servers = [Server::good().await, Server::good().await];
    let pool = pool(&servers.each_ref());
    let [first, second] = servers;
    read(&pool).await.unwrap();
    let address = first.kill().await;
    second.kill().await;
    for _ in 0..2 {
        read(&pool).await.unwrap_err();
    }
    let _first = Server::start_at(address, |_| Reply::Good).await;
    eventually("the one that is there is tried", async || read(&pool).await.is_ok()).await;
    for _ in 0..10 {
        read(&pool).await.expect("the one that is there is known to be");
    }
}

#[tokio::test]
async fn a_deadline_too_short_to_judge_by_ejects_nobody() {
    let server = Server::start(|_| Reply::Never).await;
    let pool = pool(&[&server]);
    let hurry = async || {
        let hurried = read_within(&pool, Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(reason(&hurried), Reason::DeadlineExceeded);
    };
    eventually("there is a connection", async || {
        hurry().await;
        server.calls() > 0
    })
    .await;
    let before = server.calls();
    let late = scope(Deadline::after(Duration::ZERO), register(&pool)).await.unwrap_err();
    assert_eq!(reason(&late), Reason::DeadlineExceeded);
    eventually("a later call arrives", async || {
        hurry().await;
        server.calls() > before
    })
    .await;
    assert_eq!(server.calls_of(REGISTER), 0, "there was no time left to send it");
    assert_eq!(server.accepted_connections(), 1, "neither probed nor connected to again");
}

#[tokio::test]
async fn a_stream_that_breaks_off_ejects_its_instance() {
    let (_sender, messages) = watch::channel(0);
    let behaviour = move |seen: &Seen| {
        if seen.path.ends_with("WatchRevocations") { Reply::Stream(messages.clone()) } else { Reply::Good }
    };
    let server = Server::start(behaviour).await;
    let resolver = TestResolver::new(&[&server]);
    let pool = Pool::new(target(), &resolver, PoolOptions::default());
    let mut client = UserServiceClient::new(pool.clone());
    let mut stream = client.watch_revocations(WatchRevocationsRequest::default()).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    let other = Server::good().await;
    resolver.set(&[&server, &other]);
    eventually("the other one is known", async || read(&pool).await.is_ok() && other.calls() > 0).await;

    let address = server.kill().await;
    let broken = stream.message().await.unwrap_err();
    assert_eq!(reason(&broken), Reason::Unavailable);
    let server =
        Server::start_at(address, |seen| if seen.path == HEALTH { Reply::NotServing } else { Reply::Good }).await;
    for _ in 0..10 {
        read(&pool).await.unwrap();
    }
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn a_caller_whose_own_body_fails_ejects_nobody() {
    let server = Server::good().await;
    let mut pool = pool(&[&server]);
    read(&pool).await.unwrap();
    let failing = stream::iter([Err::<Frame<Bytes>, _>(Status::cancelled("changed my mind"))]);
    let body = tonic::body::Body::new(StreamBody::new(failing));
    let request = http::Request::post("/shop.test.v1.Test/ClientStreaming").body(body).unwrap();
    pool.call(request).await.unwrap_err();
    read(&pool).await.unwrap();
    assert_eq!(server.accepted_connections(), 1);
}

#[tokio::test]
async fn another_process_at_the_address_gets_one_call() {
    let stranger = Server::start(|_| Reply::Status(Refusal::new(Reason::WrongInstance, "Not me.").into())).await;
    let good = Server::good().await;
    let pool = pool(&[&stranger, &good]);
    for _ in 0..10 {
        register(&pool).await.unwrap();
    }
    assert_eq!((stranger.calls(), good.calls()), (1, 10));
    eventually("it is probed and stays out", async || stranger.calls_of(HEALTH) >= 2).await;
    register(&pool).await.unwrap();
    assert_eq!(stranger.calls(), 1);

    stranger.behave(|_| Reply::Good);
    eventually("the right one is back", async || {
        register(&pool).await.unwrap();
        stranger.calls() > 1
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_is_not_ready_stays_out() {
    for not_ready in [|| Reply::NotServing, || Reply::Status(Status::unavailable("starting")), || Reply::Hangup] {
        let restarted = Server::good().await;
        let good = Server::good().await;
        let pool = pool(&[&restarted, &good]);
        let address = restarted.kill().await;
        for _ in 0..2 {
            register(&pool).await.unwrap();
        }
        let restarted =
            Server::start_at(address, move |seen| if seen.path == HEALTH { not_ready() } else { Reply::Good }).await;
        eventually("it is probed", async || restarted.calls_of(HEALTH) >= 2).await;
        for _ in 0..10 {
            read(&pool).await.unwrap();
        }
        assert_eq!(restarted.calls(), 0);
    }
}

#[tokio::test]
async fn a_server_without_the_health_service_is_well_when_it_answers() {
    let plain =
        Server::start(
            |seen| {
                if seen.path == HEALTH { Reply::Status(Status::unimplemented("")) } else { Reply::Hangup }
            },
        )
        .await;
    let good = Server::good().await;
    let pool = pool(&[&plain, &good]);
    read(&pool).await.unwrap();
    read(&pool).await.unwrap();
    assert_eq!(plain.calls(), 1);
    plain.behave(|seen| if seen.path == HEALTH { Reply::Status(Status::unimplemented("")) } else { Reply::Good });
    eventually("it is back", async || {
        read(&pool).await.unwrap();
        plain.calls() > 1
    })
    .await;
}

#[tokio::test]
async fn addresses_that_all_refuse_fail_fast() {
    let ports: Vec<_> = (0..6).map(|_| refusing()).collect();
    let pool = pool_at(ports.iter().map(|(_, address)| *address));
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(reason(&read(&pool).await.unwrap_err()), Reason::Unavailable);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "twenty refusals took {:?}", began.elapsed());
}
