//! An order's changes as server-sent events (WHATWG HTML, section 9.2).
//!
//! A stream is pulled: what its reader does not take is not asked for either, so that it holds one message however slow the
//! reader is, and a reader that takes nothing is dropped with its connection. A replica of order that leaves or dies is
//! replaced behind the reader's back.

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt::Write as _,
    hash::{BuildHasher as _, RandomState},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::{future::Either, stream};
use http::{HeaderValue, header};
use opentelemetry::{Context, context::FutureExt as _, global};
use parking_lot::Mutex;
use shop_proto::{
    order::{HistoryEntry, WatchOrderRequest, WatchOrderResponse},
    status::Reason,
};
use shop_server::propagation;
use shop_types::Uuid;
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep, interval_at, sleep, timeout, timeout_at};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{Status, Streaming};

use crate::{extract::SignedIn, problem::Problem, rest, state::Gateway};

/// How often a stream says that it lives: below the minute after which proxies and connections give up.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often it is asked whether the reader may still see it; revocations are heard within five seconds.
const RECHECK: Duration = Duration::from_secs(1);
/// The contract's bound on an upstream that says nothing.
const SILENCE: Duration = Duration::from_secs(10);
/// What a reader that comes back waits for a first word, to learn that there will be none.
const FIRST_WORD: Duration = Duration::from_millis(250);
/// Between attempts to reach order again: doubled each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// What readers are told to wait before they come back, and at most as much again by chance: they all leave at once.
const COME_BACK_MS: u64 = 1_000;

/// The streams that are open.
pub(crate) struct Streams {
    most: usize,
    most_per_user: usize,
    by_user: Mutex<HashMap<Uuid, usize>>,
    open: Arc<AtomicI64>,
}

impl Streams {
    pub(crate) fn new(most: usize, most_per_user: usize) -> Self {
        let open = Arc::<AtomicI64>::default();
        let observed = Arc::clone(&open);
        global::meter("shop")
            .i64_observable_up_down_counter("shop.gateway.event_streams")
            .with_description("Event streams that are open")
            .with_callback(move |observer| observer.observe(observed.load(Ordering::Relaxed), &[]))
            .build();
        Self { most, most_per_user, by_user: Mutex::default(), open }
    }

    fn enter(self: &Arc<Self>, user: Uuid) -> Result<Place, Problem> {
        let mut by_user = self.by_user.lock();
        if by_user.values().sum::<usize>() >= self.most {
            return Err(Problem::new(Reason::Overloaded, "More event streams are open than the gateway keeps."));
        }
        let count = by_user.entry(user).or_default();
        if *count >= self.most_per_user {
            let detail = format!("You may have {} event streams open at once.", self.most_per_user);
            return Err(Problem::new(Reason::RateLimited, detail));
        }
        *count += 1;
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Place { streams: Arc::clone(self), user })
    }
}

/// One of the open streams.
struct Place {
    streams: Arc<Streams>,
    user: Uuid,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.streams.open.fetch_sub(1, Ordering::Relaxed);
        let mut by_user = self.streams.by_user.lock();
        if let Some(count) = by_user.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                by_user.remove(&self.user);
            }
        }
    }
}

/// The answer to one who wants to see what becomes of an order after a version; none if nothing will.
pub(crate) async fn answer(
    gateway: Gateway,
    reader: SignedIn,
    order_id: rest::Id,
    after: Option<i64>,
) -> Result<Option<Response>, Problem> {
    let place = gateway.streams().enter(reader.user.user_id)?;
    let mut feed = Feed::new(gateway, reader, order_id, after.unwrap_or_default(), place);
    // What order refuses at first is the answer; later it is a reason to try again.
    let mut upstream = feed.open().await.map_err(Problem::internal)??;
    let mut first = None;
    if after.is_some() {
        match timeout(FIRST_WORD, upstream.message()).await {
            Ok(Ok(Some(message))) if message.finished => return Ok(None),
            Ok(Ok(message)) => first = message,
            Ok(Err(status)) => return Err(status.into()),
            Err(_) => {}
        }
    }
    feed.begin(upstream, first);
    let frames = stream::unfold(feed, |mut feed| async move {
        let frame = feed.next().await?;
        Some((Ok::<_, Infallible>(frame), feed))
    });
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Proxies that gather an answer before they pass it on would gather this one for ever.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(Some(response))
}

/// What is read of order.
enum Upstream {
    Open { messages: Box<Streaming<WatchOrderResponse>>, heard: Instant },
    Opening(Opening),
    Pausing(Pin<Box<Sleep>>),
}

type Opening = AbortOnDropHandle<Result<Streaming<WatchOrderResponse>, Status>>;

/// One reader's stream.
struct Feed {
    gateway: Gateway,
    reader: SignedIn,
    order_id: rest::Id,
    /// The last version the reader knows.
    seen: i64,
    upstream: Upstream,
    /// The trace of the request, which is over when the stream is taken up again.
    trace: Context,
    /// Before the next attempt, should this one fail.
    pause: Duration,
    /// What is to be said before anything else.
    waiting: Option<Bytes>,
    heartbeat: Interval,
    recheck: Interval,
    leaving: CancellationToken,
    over: bool,
    _place: Place,
}

/// Why a stream ends that need not be taken up again.
#[derive(Clone, Copy)]
enum End {
    Finished,
    NotAllowed,
}

impl Feed {
    fn new(gateway: Gateway, reader: SignedIn, order_id: rest::Id, seen: i64, place: Place) -> Self {
        let every = |period| {
            let mut interval = interval_at(Instant::now() + period, period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        };
        Self {
            leaving: gateway.draining(),
            gateway,
            reader,
            order_id,
            seen,
            upstream: Upstream::Pausing(Box::pin(sleep(Duration::ZERO))),
            trace: propagation::current(),
            pause: FIRST_PAUSE,
            waiting: Some(Bytes::from(format!("retry: {COME_BACK_MS}\n\n"))),
            heartbeat: every(HEARTBEAT),
            recheck: every(RECHECK),
            over: false,
            _place: place,
        }
    }

    /// In a task of its own: the time a request has is not the stream's, and what is half open may be looked at again.
    fn open(&self) -> Opening {
        let message = WatchOrderRequest { order_id: self.order_id.into(), after_version: self.seen };
        let request = self.reader.request(message);
        let mut orders = self.gateway.watched_orders();
        let opening = async move { orders.watch_order(request).await.map(tonic::Response::into_inner) };
        AbortOnDropHandle::new(tokio::spawn(opening.with_context(self.trace.clone())))
    }

    fn begin(&mut self, upstream: Streaming<WatchOrderResponse>, first: Option<WatchOrderResponse>) {
        self.upstream = Upstream::Open { messages: Box::new(upstream), heard: Instant::now() };
        let first = first.and_then(|message| self.take(message).ok().flatten());
        if let (Some(waiting), Some(first)) = (&mut self.waiting, first) {
            *waiting = [waiting.as_ref(), first.as_ref()].concat().into();
        }
    }

    /// The next thing to say; none when all is said.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(waiting) = self.waiting.take() {
            return Some(waiting);
        }
        while !self.over {
            let Self { upstream, heartbeat, recheck, leaving, .. } = self;
            let event = tokio::select! {
                biased;
                () = leaving.cancelled() => {
                    self.over = true;
                    return Some(come_back());
                }
                _ = recheck.tick() => Either::Left(()),
                news = news(upstream) => Either::Right(news),
                _ = heartbeat.tick() => return Some(Bytes::from_static(b": still here\n\n")),
            };
            let said = match event {
                Either::Left(()) if self.may_read() => continue,
                Either::Left(()) => Err(End::NotAllowed),
                Either::Right(news) => self.learn(news),
            };
            match said {
                Ok(None) => {}
                Ok(Some(frame)) => return Some(frame),
                Err(end) => {
                    self.over = true;
                    return Some(last_word(end));
                }
            }
        }
        None
    }

    fn may_read(&self) -> bool {
        self.reader.is_still_allowed(self.gateway.verifier())
    }

    fn learn(&mut self, news: News) -> Result<Option<Bytes>, End> {
        match news {
            News::Opened(messages) => {
                self.upstream = Upstream::Open { messages, heard: Instant::now() };
                Ok(None)
            }
            News::Message(message) => {
                self.pause = FIRST_PAUSE;
                self.take(message)
            }
            News::Lost(Some(status)) if is_final(&status) => Err(End::NotAllowed),
            News::Lost(status) => {
                tracing::debug!(order.id = %self.order_id, rpc.status = ?status.map(|status| status.code()), "an order's stream is taken up again");
                self.upstream = Upstream::Pausing(Box::pin(sleep(by_chance(self.pause))));
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                Ok(None)
            }
            News::Rested => {
                self.upstream = Upstream::Opening(self.open());
                Ok(None)
            }
        }
    }

    fn take(&mut self, message: WatchOrderResponse) -> Result<Option<Bytes>, End> {
        if message.finished {
            return Err(End::Finished);
        }
        // Empty to say that it lives; seen already when a replica was asked anew.
        let entry = message.entry.filter(|entry| entry.version > self.seen);
        Ok(entry.and_then(|entry| {
            self.seen = entry.version;
            frame(entry)
        }))
    }
}

/// What became of the upstream.
enum News {
    Opened(Box<Streaming<WatchOrderResponse>>),
    Message(WatchOrderResponse),
    /// With an error, or without one, which is no end either.
    Lost(Option<Status>),
    /// The pause is over.
    Rested,
}

/// Waits for the upstream; what it has of it is kept when somebody else is quicker.
async fn news(upstream: &mut Upstream) -> News {
    match upstream {
        Upstream::Open { messages, heard } => {
            let message = timeout_at(*heard + SILENCE, messages.message()).await;
            *heard = Instant::now();
            match message {
                Ok(Ok(Some(message))) => News::Message(message),
                Ok(Ok(None)) | Err(_) => News::Lost(None),
                Ok(Err(status)) => News::Lost(Some(status)),
            }
        }
        Upstream::Opening(opening) => match pin!(opening).await {
            Ok(Ok(messages)) => News::Opened(Box::new(messages)),
            Ok(Err(status)) => News::Lost(Some(status)),
            Err(_) => News::Lost(None),
        },
        Upstream::Pausing(pause) => {
            pause.as_mut().await;
            News::Rested
        }
    }
}

/// Whether trying again can't help: the reader may not see it any more, or nobody can.
fn is_final(status: &Status) -> bool {
    use tonic::Code::{NotFound, PermissionDenied, Unauthenticated};
    matches!(status.code(), NotFound | PermissionDenied | Unauthenticated)
}

/// An entry as an event, whose id is what `Last-Event-ID` will say.
fn frame(entry: HistoryEntry) -> Option<Bytes> {
    let version = entry.version;
    let entry = rest::HistoryEntry::try_from(entry).map_err(|error| error.to_string());
    let json = entry.and_then(|entry| serde_json::to_string(&entry).map_err(|error| error.to_string()));
    let json = json.inspect_err(|error| tracing::error!(error, "a change of an order can't be told")).ok()?;
    let mut frame = String::with_capacity(json.len() + 64);
    // Writing to a string can't fail, and JSON on one line has no line breaks.
    let _ = write!(frame, "id: {version}\nevent: change\ndata: {json}\n\n");
    Some(frame.into())
}

fn last_word(end: End) -> Bytes {
    Bytes::from_static(match end {
        End::Finished => b"event: end\ndata: {\"reason\":\"finished\"}\n\n",
        End::NotAllowed => b"event: end\ndata: {\"reason\":\"unauthenticated\"}\n\n",
    })
}

/// The gateway leaves: another one goes on.
fn come_back() -> Bytes {
    let wait = by_chance(Duration::from_millis(COME_BACK_MS)).as_millis();
    Bytes::from(format!(": moving\nretry: {wait}\n\n"))
}

/// From once to twice as long.
fn by_chance(least: Duration) -> Duration {
    let chance = RandomState::new().hash_one(0) % 1_000;
    least + least * u32::try_from(chance).unwrap_or_default() / 1_000
}
