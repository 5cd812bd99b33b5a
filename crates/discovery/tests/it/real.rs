//! The servers that the services run, with handlers that count.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, response::IntoResponse, routing::post};
use http::HeaderMap;
use http_body::Frame;
use http_body_util::StreamBody;
use parking_lot::Mutex;
use prost::Message as _;
use shop_discovery::{Instance, Pool, PoolOptions, Resolver};
use shop_proto::user::{RegisterRequest, user_service_client::UserServiceClient};
use shop_server::{GrpcServer, Running, ServerOptions, Shutdown, Tls, TlsOptions};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::support::{GET_USER, REGISTER, target};

pub(crate) const FREE_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// How often each account was registered, whichever server did it.
pub(crate) type Ledger = Arc<Mutex<HashMap<String, u32>>>;

/// A server of the user service.
pub(crate) struct RealServer {
    pub(crate) running: Running,
    pub(crate) shutdown: Shutdown,
}

impl RealServer {
    pub(crate) async fn start(ledger: &Ledger, tls: TlsOptions) -> Self {
        Self::start_as("user", ledger, tls).await
    }

    pub(crate) async fn start_as(name: &'static str, ledger: &Ledger, tls: TlsOptions) -> Self {
        let options = ServerOptions { shop_uid: "demo".to_owned(), tls, ..ServerOptions::embedded(FREE_PORT) };
        let router =
            Router::new().route(REGISTER, post(register)).route(GET_USER, post(empty)).with_state(Arc::clone(ledger));
        let shutdown = Shutdown::new();
        let server = GrpcServer::bind(name, FREE_PORT, &options).await.unwrap();
        let running = server.start(router.into(), tower_layer::Identity::new(), &shutdown);
        Self { running, shutdown }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.addresses().serve
    }

    pub(crate) fn instance(&self) -> Instance {
        let authority: http::uri::Authority = self.address().to_string().parse().unwrap();
        Instance { id: authority.to_string(), authority, incarnation: None }
    }

    /// As after SIGTERM.
    pub(crate) async fn leave(self) {
        self.shutdown.begin();
        self.running.join().await.unwrap();
    }

    /// The value of a metric of this process; all servers of a test binary share them.
    pub(crate) async fn metric(&self, line: &str) -> Option<f64> {
        let mut admin = TcpStream::connect(self.running.addresses().admin).await.unwrap();
        admin.write_all(b"GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut text = String::new();
        admin.read_to_string(&mut text).await.unwrap();
        let found = text.lines().find(|text| text.starts_with(line))?;
        found.rsplit(' ').next()?.parse().ok()
    }
}

async fn register(State(ledger): State<Ledger>, message: Bytes) -> impl IntoResponse {
    // Where a real handler waits for its database.
    tokio::task::yield_now().await;
    let request = RegisterRequest::decode(&message[5..]).unwrap();
    *ledger.lock().entry(request.email).or_default() += 1;
    empty().await
}

async fn empty() -> impl IntoResponse {
    let mut trailers = HeaderMap::new();
    Status::new(Code::Ok, "").add_header(&mut trailers).unwrap();
    let frames = [Frame::data(Bytes::from_static(&[0; 5])), Frame::trailers(trailers)];
    let body = axum::body::Body::new(StreamBody::new(futures::stream::iter(frames.map(Ok::<_, Infallible>))));
    ([("content-type", "application/grpc")], body)
}

/// A set of instances that a test changes.
#[derive(Clone)]
pub(crate) struct Instances(watch::Sender<Arc<[Instance]>>);

impl Instances {
    pub(crate) fn of<'a>(servers: impl IntoIterator<Item = &'a RealServer>) -> Self {
        Self(watch::Sender::new(servers.into_iter().map(RealServer::instance).collect()))
    }

    pub(crate) fn add(&self, server: &RealServer) {
        self.0.send_modify(|set| *set = set.iter().cloned().chain([server.instance()]).collect());
    }

    pub(crate) fn remove(&self, address: SocketAddr) {
        let authority = address.to_string();
        self.0.send_modify(|set| {
            *set = set.iter().filter(|instance| instance.authority.as_str() != authority).cloned().collect();
        });
    }

    pub(crate) fn pool(&self, tls: Option<Tls>) -> Pool {
        Pool::new(target(), self, PoolOptions { tls, ..PoolOptions::default() })
    }
}

impl Resolver for Instances {
    fn watch(&self) -> watch::Receiver<Arc<[Instance]>> {
        self.0.subscribe()
    }
}

/// A call that must be done once and not twice.
pub(crate) async fn register_as(pool: &Pool, email: String) -> Result<(), Status> {
    let request = RegisterRequest { email, ..RegisterRequest::default() };
    UserServiceClient::new(pool.clone()).register(request).await.map(drop)
}

/// One call in this time, whether those before were answered or not.
const BEAT: Duration = Duration::from_millis(4);
/// Unless so many wait already: this is about servers that leave, not about a machine that is too slow for the load.
const MOST_WAITING: usize = 64;

/// Calls that must be done once and not twice, until it is told to stop.
pub(crate) struct Load {
    stop: CancellationToken,
    calls: JoinHandle<Vec<Result<(), Status>>>,
    ledger: Ledger,
}

impl Load {
    pub(crate) fn start(pool: Pool, ledger: &Ledger) -> Self {
        let stop = CancellationToken::new();
        let calls = tokio::spawn(calls(pool, stop.clone()));
        Self { stop, calls, ledger: Arc::clone(ledger) }
    }

    /// Every call was answered well, and done once.
    pub(crate) async fn none_failed(self) {
        self.stop.cancel();
        let answers = self.calls.await.unwrap();
        let failed: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        assert!(failed.is_empty(), "{} of {} calls failed, the first: {:?}", failed.len(), answers.len(), failed[0]);
        let ledger = self.ledger.lock();
        assert_eq!(ledger.len(), answers.len(), "a call was not done");
        assert!(ledger.values().all(|times| *times == 1), "a call was done twice");
    }
}

async fn calls(pool: Pool, stop: CancellationToken) -> Vec<Result<(), Status>> {
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut waiting, mut answers, mut count) = (JoinSet::new(), Vec::new(), 0_usize);
    while stop.run_until_cancelled(beat.tick()).await.is_some() {
        while let Some(answer) = waiting.try_join_next() {
            answers.push(answer.unwrap());
        }
        if waiting.len() < MOST_WAITING {
            let (pool, email) = (pool.clone(), format!("{count}@example.com"));
            count += 1;
            waiting.spawn(async move { register_as(&pool, email).await });
        }
    }
    answers.extend(waiting.join_all().await);
    answers
}

/// The log of this thread: a test on one thread sees all that its servers and pools say.
pub(crate) struct Said {
    log: Arc<Mutex<Vec<u8>>>,
    _until_dropped: tracing::subscriber::DefaultGuard,
}

impl Said {
    pub(crate) fn from_here_on() -> Self {
        // What no thread has a subscriber for is otherwise disabled for all, for good.
        static EVERYWHERE: LazyLock<()> = LazyLock::new(|| {
            let _ = tracing_subscriber::fmt().with_writer(std::io::sink).try_init();
        });
        LazyLock::force(&EVERYWHERE);
        let log = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&log);
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || Writer(Arc::clone(&writer)));
        Self { log, _until_dropped: tracing::subscriber::set_default(subscriber.finish()) }
    }

    pub(crate) fn contains(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.log.lock()).contains(text)
    }

    /// Waits for it: a server may be slower than its client.
    pub(crate) async fn has(&self, text: &str) {
        let end = Instant::now() + Duration::from_secs(10);
        while !self.contains(text) {
            assert!(Instant::now() < end, "{text:?} is not in:\n{}", String::from_utf8_lossy(&self.log.lock()));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

struct Writer(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
