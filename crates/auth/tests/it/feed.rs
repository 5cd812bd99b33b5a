//! Following revocations from a user service that works, half works, or does not.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant as Monotonic},
};

use bytes::Bytes;
use futures::{StreamExt as _, future::BoxFuture};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use prost::Message;
use shop_auth::{Revocations, ServiceSigner, revocation};
use shop_proto::user::{
    ListRevocationsRequest, ListRevocationsResponse, Revocation, UserEpoch, WatchRevocationsResponse,
    revocation::Subject, user_service_client::UserServiceClient,
};
use shop_types::{Uuid, new_id};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Status, body::Body};

use crate::{Shop, eventually};

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Working,
    Refusing,
    Silent,
}

/// The user service as its clients see it.
#[derive(Clone)]
struct FakeUser(Arc<Mutex<State>>);

struct State {
    stream: Part,
    polls: Part,
    revocations: Vec<Revocation>,
    watchers: Vec<mpsc::UnboundedSender<Bytes>>,
    streams_opened: usize,
    credentials: Vec<String>,
}

impl FakeUser {
    fn new(stream: Part, polls: Part) -> Self {
        let state =
            State { stream, polls, revocations: vec![], watchers: vec![], streams_opened: 0, credentials: vec![] };
        Self(Arc::new(Mutex::new(state)))
    }

    fn set(&self, stream: Part, polls: Part) {
        let mut state = self.0.lock().unwrap();
        (state.stream, state.polls) = (stream, polls);
    }

    fn revoke(&self, subject: Subject) {
        let mut state = self.0.lock().unwrap();
        let position = i64::try_from(state.revocations.len()).unwrap() + 1;
        state.revocations.push(Revocation { position, subject: Some(subject), forget_after: None });
        if state.stream == Part::Working {
            let message = frame(&WatchRevocationsResponse { revocations: state.revocations.clone() });
            state.watchers.retain(|watcher| watcher.send(message.clone()).is_ok());
        }
    }

    fn revoke_session(&self) -> Uuid {
        let id = new_id();
        self.revoke(Subject::SessionId(id.to_string()));
        id
    }

    /// Ends every open stream, as a server that restarts does.
    fn hang_up(&self) {
        self.0.lock().unwrap().watchers.clear();
    }

    fn streams_opened(&self) -> usize {
        self.0.lock().unwrap().streams_opened
    }

    async fn answer(self, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let credential = request.headers()["authorization"].to_str().unwrap().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let (part, response) = {
            let mut state = self.0.lock().unwrap();
            state.credentials.push(credential);
            if path.ends_with("WatchRevocations") {
                state.streams_opened += 1;
                let (watcher, messages) = mpsc::unbounded_channel();
                let _open = watcher.send(frame(&WatchRevocationsResponse { revocations: state.revocations.clone() }));
                state.watchers.push(watcher);
                (state.stream, streaming(messages))
            } else {
                let after = ListRevocationsRequest::decode(&body[5..]).unwrap().after_position;
                // Pages of two, so that more than one is needed.
                let rest: Vec<_> = state.revocations.iter().filter(|entry| entry.position > after).cloned().collect();
                let page =
                    ListRevocationsResponse { more: rest.len() > 2, revocations: rest.into_iter().take(2).collect() };
                let (watcher, messages) = mpsc::unbounded_channel();
                watcher.send(frame(&page)).unwrap();
                (state.polls, streaming(messages))
            }
        };
        match part {
            Part::Working => response,
            Part::Refusing => Status::unavailable("refused").into_http(),
            Part::Silent if path.ends_with("WatchRevocations") => streaming(self.silence()),
            Part::Silent => std::future::pending().await,
        }
    }

    /// A stream that opens and says nothing.
    fn silence(&self) -> mpsc::UnboundedReceiver<Bytes> {
        let (watcher, messages) = mpsc::unbounded_channel();
        self.0.lock().unwrap().watchers.push(watcher);
        messages
    }
}

fn frame(message: &impl Message) -> Bytes {
    let encoded = message.encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(encoded.len()).unwrap().to_be_bytes());
    frame.extend(encoded);
    frame.into()
}

fn streaming(messages: mpsc::UnboundedReceiver<Bytes>) -> Response<Body> {
    let mut ok = HeaderMap::new();
    ok.insert("grpc-status", "0".parse().unwrap());
    let frames = UnboundedReceiverStream::new(messages).map(http_body::Frame::data);
    let frames = frames.chain(futures::stream::iter([http_body::Frame::trailers(ok)]));
    let mut response = Response::new(Body::new(StreamBody::new(frames.map(Ok::<_, Infallible>))));
    response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    response
}

impl tower_service::Service<Request<Body>> for FakeUser {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let user = self.clone();
        Box::pin(async move { Ok(user.answer(request).await) })
    }
}

struct Follower {
    revocations: Revocations,
    _stop: DropGuard,
    _shop: Shop,
}

impl Follower {
    fn start(user: &FakeUser) -> Self {
        let shop = Shop::new();
        let signer: ServiceSigner = shop.service("order");
        let revocations = Revocations::followed();
        let cancel = CancellationToken::new();
        let client = UserServiceClient::new(user.clone());
        tokio::spawn(revocation::follow(client, signer, revocations.clone(), cancel.clone()));
        Self { revocations, _stop: cancel.drop_guard(), _shop: shop }
    }

    async fn fresh(&self) {
        eventually("a fresh feed", || self.revocations.require_fresh().is_ok()).await;
    }

    /// Waits until the session is known to be revoked; how long that took.
    async fn knows(&self, session: Uuid) -> Duration {
        let start = Monotonic::now();
        eventually("the revocation", || self.revocations.is_revoked(session, new_id(), 0)).await;
        start.elapsed()
    }
}

/// What the design promises.
const BOUND: Duration = Duration::from_secs(5);

#[tokio::test]
async fn the_stream_brings_what_was_and_what_comes() {
    let user = FakeUser::new(Part::Working, Part::Refusing);
    let before = user.revoke_session();
    let follower = Follower::start(&user);
    assert!(follower.revocations.age().is_none());
    follower.fresh().await;
    assert!(follower.revocations.is_revoked(before, new_id(), 0));
    let after = user.revoke_session();
    assert!(follower.knows(after).await < Duration::from_secs(1));

    let user_id = new_id();
    user.revoke(Subject::UserEpoch(UserEpoch { user_id: user_id.to_string(), epoch: 5 }));
    eventually("the epoch", || follower.revocations.is_revoked(new_id(), user_id, 4)).await;
    assert!(!follower.revocations.is_revoked(new_id(), user_id, 5));
    assert!(user.0.lock().unwrap().credentials.iter().all(|credential| credential.starts_with("Bearer ")));
}

#[tokio::test]
async fn polling_takes_over_where_streams_are_refused() {
    let user = FakeUser::new(Part::Refusing, Part::Working);
    let before: Vec<_> = (0..5).map(|_| user.revoke_session()).collect();
    let follower = Follower::start(&user);
    follower.fresh().await;
    let known = |session: &Uuid| follower.revocations.is_revoked(*session, new_id(), 0);
    assert!(before.iter().all(known), "every page was read before the feed counted as fresh");
    let session = user.revoke_session();
    assert!(follower.knows(session).await < BOUND);
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_given_up_in_time() {
    let user = FakeUser::new(Part::Working, Part::Working);
    let follower = Follower::start(&user);
    follower.fresh().await;
    user.set(Part::Silent, Part::Working);
    let session = user.revoke_session();
    assert!(follower.knows(session).await < BOUND);
}

#[tokio::test]
async fn a_stream_that_opens_silent_does_not_hold_up_polling() {
    let user = FakeUser::new(Part::Silent, Part::Working);
    let session = user.revoke_session();
    let follower = Follower::start(&user);
    assert!(follower.knows(session).await < BOUND);
}

#[tokio::test]
async fn a_stream_that_ends_is_opened_again() {
    let user = FakeUser::new(Part::Working, Part::Working);
    let follower = Follower::start(&user);
    follower.fresh().await;
    user.hang_up();
    let ended = Monotonic::now();
    eventually("another stream", || user.streams_opened() >= 2).await;
    assert!(ended.elapsed() >= Duration::from_millis(500), "no pause after {:?}", ended.elapsed());
    let session = user.revoke_session();
    assert!(follower.knows(session).await < BOUND);
}

#[tokio::test]
async fn polling_hears_a_server_whose_database_was_restored() {
    let user = FakeUser::new(Part::Working, Part::Working);
    for _ in 0..3 {
        user.revoke_session();
    }
    let follower = Follower::start(&user);
    follower.fresh().await;
    user.set(Part::Refusing, Part::Working);
    user.0.lock().unwrap().revocations.clear();
    let session = user.revoke_session();
    user.hang_up();
    assert!(follower.knows(session).await < BOUND);
}

#[tokio::test]
async fn an_outage_is_outlived() {
    let user = FakeUser::new(Part::Working, Part::Working);
    let follower = Follower::start(&user);
    follower.fresh().await;
    user.set(Part::Refusing, Part::Refusing);
    user.hang_up();
    let session = user.revoke_session();
    let opened = user.streams_opened();
    user.set(Part::Working, Part::Working);
    follower.knows(session).await;
    eventually("a stream again", || user.streams_opened() > opened).await;
}
