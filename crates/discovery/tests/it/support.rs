//! A gRPC server whose every answer a test decides, down to the frames, and what tests ask of pools.

use std::{
    convert::Infallible,
    future::pending,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use prost::Message;
use shop_discovery::{Address, Instance, Pool, PoolOptions, Resolver, StaticResolver, Target};
use shop_proto::{
    status::{Reason, Refusal},
    user::{GetUserRequest, RegisterRequest, user_service_client::UserServiceClient},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body as TonicBody};
use tonic_health::pb::{HealthCheckResponse, health_check_response::ServingStatus};

pub(crate) const HEALTH: &str = "/grpc.health.v1.Health/Check";
/// A read.
pub(crate) const GET_USER: &str = "/shop.user.v1.UserService/GetUser";
/// Not to be repeated.
pub(crate) const REGISTER: &str = "/shop.user.v1.UserService/Register";

/// What a server does with a call.
pub(crate) enum Reply {
    /// An empty message and OK.
    Good,
    /// Empty messages, one each time the sender is changed; OK when it is gone.
    Stream(watch::Receiver<u32>),
    /// A trailers-only response.
    Status(Status),
    /// Headers and a message, and the status in trailers.
    LateStatus(Status),
    /// A proxy's answer.
    Http(StatusCode),
    /// `NOT_SERVING`, from the health service.
    NotServing,
    /// Nothing, ever.
    Never,
    /// An empty message and OK, once the token is cancelled.
    GoodAfter(CancellationToken),
    /// The connection breaks.
    Hangup,
    /// Headers and half a message; then the connection breaks.
    HangupMidway,
    /// The stream is reset for a reason.
    Reset(h2::Reason),
}

/// A call as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) length: usize,
}

type Behaviour = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// Serves until it is killed or dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    leave: CancellationToken,
    serving: Option<JoinHandle<()>>,
}

struct Shared {
    behaviour: Mutex<Behaviour>,
    seen: Mutex<Vec<Seen>>,
    open: AtomicUsize,
    most_open: AtomicUsize,
    accepted: AtomicUsize,
}

impl Server {
    /// Answers every call well.
    pub(crate) async fn good() -> Self {
        Self::start(|_| Reply::Good).await
    }

    pub(crate) async fn start(behaviour: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), behaviour).await
    }

    pub(crate) async fn start_at(
        address: SocketAddr,
        behaviour: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(Arc::new(behaviour)),
            seen: Mutex::default(),
            open: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
        });
        let (stop, leave) = (CancellationToken::new(), CancellationToken::new());
        let serving = Some(tokio::spawn(accept(listener, Arc::clone(&shared), stop.clone(), leave.clone())));
        Self { address, shared, stop, leave, serving }
    }

    pub(crate) fn behave(&self, behaviour: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        *self.shared.behaviour.lock() = Arc::new(behaviour);
    }

    /// Breaks every connection and frees the port.
    pub(crate) async fn kill(mut self) -> SocketAddr {
        self.stop.cancel();
        self.serving.take().unwrap().await.unwrap();
        self.address
    }

    /// Finishes what it works on and takes nothing new, as servers do that are asked to end.
    pub(crate) async fn drain(mut self) {
        self.leave.cancel();
        self.serving.take().unwrap().await.unwrap();
    }

    /// Calls so far, probes not counted.
    pub(crate) fn calls(&self) -> usize {
        self.shared.seen.lock().iter().filter(|seen| seen.path != HEALTH).count()
    }

    pub(crate) fn calls_of(&self, path: &str) -> usize {
        self.shared.seen.lock().iter().filter(|seen| seen.path == path).count()
    }

    /// The latest call, probes not counted.
    pub(crate) fn last(&self) -> Seen {
        self.shared.seen.lock().iter().rfind(|seen| seen.path != HEALTH).unwrap().clone()
    }

    pub(crate) fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    pub(crate) fn accepted_connections(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn most_open_connections(&self) -> usize {
        self.shared.most_open.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken, leave: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = leave.cancelled() => break,
            accepted = listener.accept() => {
                connections.spawn(serve(accepted.unwrap().0, Arc::clone(&shared), leave.clone()));
            }
        }
    }
    drop(listener);
    stop.run_until_cancelled(async { while connections.join_next().await.is_some() {} }).await;
    connections.shutdown().await;
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, leave: CancellationToken) {
    struct Open(Arc<Shared>);
    impl Drop for Open {
        fn drop(&mut self) {
            self.0.open.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let now = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
    shared.accepted.fetch_add(1, Ordering::SeqCst);
    shared.most_open.fetch_max(now, Ordering::SeqCst);
    let _open = Open(Arc::clone(&shared));
    let hangup = CancellationToken::new();
    let service = service_fn(|request| answer(request, Arc::clone(&shared), hangup.clone()));
    let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        () = hangup.cancelled() => {}
        _ = connection.as_mut() => {}
        () = leave.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = hangup.run_until_cancelled(connection).await;
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    hangup: CancellationToken,
) -> Result<Response<TonicBody>, h2::Error> {
    let (head, body) = request.into_parts();
    let length = body.collect().await.map_or(0, |body| body.to_bytes().len());
    let seen = Seen { path: head.uri.path().to_owned(), headers: head.headers, length };
    let behaviour = Arc::clone(&shared.behaviour.lock());
    let reply = behaviour(&seen);
    let is_probe = seen.path == HEALTH;
    shared.seen.lock().push(seen);
    match reply {
        Reply::Good if is_probe => Ok(message(&health(ServingStatus::Serving))),
        Reply::Good => Ok(message(&())),
        Reply::NotServing => Ok(message(&health(ServingStatus::NotServing))),
        Reply::GoodAfter(token) => {
            token.cancelled().await;
            Ok(message(&()))
        }
        Reply::Stream(changes) => Ok(messages(changes)),
        Reply::Status(status) => Ok(status.into_http()),
        Reply::LateStatus(status) => Ok(late(status)),
        Reply::Http(status) => {
            let mut response = Response::new(TonicBody::empty());
            *response.status_mut() = status;
            Ok(response)
        }
        Reply::Never => pending().await,
        Reply::Hangup => {
            hangup.cancel();
            pending().await
        }
        Reply::HangupMidway => {
            let half = stream::iter([Ok(Frame::data(Bytes::from_static(&[0, 0, 0])))]);
            let end = stream::once(async move {
                // The peer has what was flushed before this is polled a second time.
                sleep(Duration::from_millis(20)).await;
                hangup.cancel();
                pending::<Result<Frame<Bytes>, Infallible>>().await
            });
            Ok(response(half.chain(end)))
        }
        Reply::Reset(reason) => Err(reason.into()),
    }
}

fn health(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

fn frame(message: &impl Message) -> Frame<Bytes> {
    let body = message.encode_to_vec();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    Frame::data([&[0], &length[..], &body].concat().into())
}

fn trailers(code: &'static str) -> Frame<Bytes> {
    Frame::trailers(HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static(code),
    )]))
}

fn response(
    frames: impl futures::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + 'static,
) -> Response<TonicBody> {
    let mut response = Response::new(TonicBody::new(StreamBody::new(frames)));
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn message(message: &impl Message) -> Response<TonicBody> {
    response(stream::iter([Ok(frame(message)), Ok(trailers("0"))]))
}

fn messages(changes: watch::Receiver<u32>) -> Response<TonicBody> {
    let changes = tokio_stream::wrappers::WatchStream::new(changes).map(|_| Ok(frame(&())));
    response(changes.chain(stream::iter([Ok(trailers("0"))])))
}

fn late(status: Status) -> Response<TonicBody> {
    let headers = status.into_http::<()>().headers().clone();
    response(stream::iter([Ok(frame(&())), Ok(Frame::trailers(headers))]))
}

/// A resolver that a test tells what to say.
pub(crate) struct TestResolver(watch::Sender<Arc<[Instance]>>);

impl TestResolver {
    pub(crate) fn new(servers: &[&Server]) -> Self {
        Self(watch::Sender::new(instances(servers)))
    }

    pub(crate) fn set(&self, servers: &[&Server]) {
        self.0.send_replace(instances(servers));
    }
}

impl Resolver for TestResolver {
    fn watch(&self) -> watch::Receiver<Arc<[Instance]>> {
        self.0.subscribe()
    }
}

fn instances(servers: &[&Server]) -> Arc<[Instance]> {
    servers
        .iter()
        .map(|server| {
            let authority: http::uri::Authority = server.address.to_string().parse().unwrap();
            Instance { id: authority.to_string(), authority, incarnation: None }
        })
        .collect()
}

pub(crate) fn target() -> Target {
    Target { shop_uid: "demo".to_owned(), service: "user" }
}

pub(crate) fn pool_at(addresses: impl IntoIterator<Item = SocketAddr>) -> Pool {
    Pool::new(target(), StaticResolver::new(addresses.into_iter().map(Address::from)), PoolOptions::default())
}

pub(crate) fn pool(servers: &[&Server]) -> Pool {
    pool_at(servers.iter().map(|server| server.address))
}

/// A call that may be repeated.
pub(crate) async fn read(pool: &Pool) -> Result<(), Status> {
    UserServiceClient::new(pool.clone()).get_user(GetUserRequest::default()).await.map(drop)
}

/// A call that may not be repeated.
pub(crate) async fn register(pool: &Pool) -> Result<(), Status> {
    UserServiceClient::new(pool.clone()).register(RegisterRequest::default()).await.map(drop)
}

pub(crate) fn reason(status: &Status) -> Reason {
    Refusal::from_status(status).reason
}

/// Waits for a condition, and fails when it does not come about.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(Instant::now() < end, "never: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}
