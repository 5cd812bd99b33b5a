//! An order's changes as server-sent events.
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use shop_auth::{Role, UserCaller, UserTokenSigner};
use shop_proto::{
    order::{HistoryEntry, OrderStatus, WatchOrderRequest, WatchOrderResponse},
    status::{Reason, Refusal},
    user::{ListRevocationsResponse, Revocation, revocation},
};
use shop_types::new_id;
use tokio::sync::mpsc;
use tonic::Status;

use crate::support::{
    Client, Gateway, PATIENCE, until,
    wire::{self, ID, USER_ID},
};

type Message = Option<Result<WatchOrderResponse, Status>>;

/// The streams that the gateway opened, each with what it asked for.
#[derive(Clone, Default)]
struct Opened(Arc<Mutex<Vec<Stream>>>);

/// The version after which a stream goes on, and where to say what it says.
type Stream = (i64, mpsc::Sender<Message>);

impl Opened {
    fn of(gateway: &Gateway) -> Self {
        let opened = Self::default();
        let kept = opened.clone();
        gateway.upstream.streams("WatchOrder", move |request: WatchOrderRequest| {
            let (sender, receiver) = mpsc::channel(16);
            kept.0.lock().unwrap().push((request.after_version, sender));
            receiver
        });
        opened
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// The nth stream, once it is there: the version it was asked to go on after, and where to say what it says.
    async fn nth(&self, n: usize) -> (i64, mpsc::Sender<Message>) {
        until("a stream is opened", async || self.count() > n).await;
        self.0.lock().unwrap()[n].clone()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the end of a stream is a message too")]
fn entry(version: i64, to: OrderStatus) -> Message {
    let entry = HistoryEntry {
        version,
        from: 0,
        to: to.into(),
        actor: USER_ID.into(),
        reason: 0,
        at: wire::at(version),
        note: String::new(),
    };
    Some(Ok(WatchOrderResponse { entry: Some(entry), finished: false }))
}

#[expect(clippy::unnecessary_wraps, reason = "the end of a stream is a message too")]
fn finished() -> Message {
    Some(Ok(WatchOrderResponse { entry: None, finished: true }))
}

/// A reader of events.
struct Reader {
    response: reqwest::Response,
    text: String,
}

/// An event, or the end of the stream.
#[derive(Debug, PartialEq)]
struct Event {
    id: Option<i64>,
    name: String,
    data: Value,
}

impl Reader {
    async fn new(client: &Client, after: Option<&str>) -> Self {
        let mut request = client.request(Method::GET, &format!("/orders/{ID}/events"));
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let response = tokio::time::timeout(PATIENCE, request.send()).await.unwrap().unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(!response.headers().contains_key("content-encoding"));
        Self { response, text: String::new() }
    }

    /// The next block of lines; none at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("something is said");
            let Some(chunk) = chunk.unwrap() else {
                assert_eq!(self.text, "", "the stream ends in the middle");
                return None;
            };
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event, past comments and the like; none at the end.
    async fn event(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            let field = |name: &str| {
                block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned)
            };
            let Some(name) = field("event") else { continue };
            let id = field("id").map(|id| id.parse().unwrap());
            return Some(Event { id, name, data: serde_json::from_str(&field("data").unwrap()).unwrap() });
        }
    }

    async fn ids(&mut self, count: usize) -> Vec<i64> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.event().await.expect("another event").id.unwrap());
        }
        ids
    }
}

#[tokio::test]
async fn changes_arrive_as_they_happen_and_the_end_is_told() {
    let gateway = Gateway::start().await;
    let opened = Opened::of(&gateway);
    let mut reader = Reader::new(&gateway.customer(), None).await;
    assert_eq!(reader.block().await.unwrap(), "retry: 1000");
    let (after, stream) = opened.nth(0).await;
    assert_eq!(after, 0);
    stream.send(entry(1, OrderStatus::Pending)).await.unwrap();
    let first = reader.event().await.unwrap();
    let data = json!({
        "version": 1, "from": null, "to": "pending", "actor": USER_ID, "reason": null, "note": null,
        "at": "1970-01-01T00:00:01.00025Z"
    });
    assert_eq!(first, Event { id: Some(1), name: "change".into(), data });
    // What only says that the stream lives is not passed on.
    stream.send(Some(Ok(WatchOrderResponse::default()))).await.unwrap();
    stream.send(entry(2, OrderStatus::Reserved)).await.unwrap();
    assert_eq!(reader.ids(1).await, [2]);
    stream.send(finished()).await.unwrap();
    let end = reader.event().await.unwrap();
    assert_eq!((end.name.as_str(), &end.data["reason"]), ("end", &json!("finished")));
    assert_eq!(reader.event().await, None);
    assert_eq!(opened.count(), 1);
}

#[tokio::test]
async fn a_stream_is_in_the_trace_of_its_request_also_when_it_is_taken_up_again() {
    let gateway = Gateway::start().await;
    let opened = Opened::of(&gateway);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let client = gateway.customer();
    let request = client.request(Method::GET, &format!("/orders/{ID}/events"));
    let response = request.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01")).send().await.unwrap();
    let mut reader = Reader { response, text: String::new() };
    let (_, stream) = opened.nth(0).await;
    stream.send(entry(1, OrderStatus::Pending)).await.unwrap();
    assert_eq!(reader.ids(1).await, [1]);
    stream.send(None).await.unwrap();
    let going_on = async {
        let (_, stream) = opened.nth(1).await;
        stream.send(entry(2, OrderStatus::Reserved)).await.unwrap();
    };
    let (ids, ()) = tokio::join!(reader.ids(1), going_on);
    assert_eq!(ids, [2]);
    for call in gateway.upstream.calls("WatchOrder") {
        let parent = call.headers["traceparent"].to_str().unwrap();
        assert!(parent.starts_with(&format!("00-{trace}-")), "{parent}");
    }
}

#[tokio::test]
async fn a_reader_goes_on_where_it_was() {
    let gateway = Gateway::start().await;
    let opened = Opened::of(&gateway);
    let mut reader = Reader::new(&gateway.customer(), Some("3")).await;
    let (after, stream) = opened.nth(0).await;
    assert_eq!(after, 3);
    stream.send(entry(4, OrderStatus::Paid)).await.unwrap();
    assert_eq!(reader.ids(1).await, [4]);
    let client = gateway.customer();
    for id in ["x", "-1", "1.5", "99999999999999999999", "01"] {
        let request = client.request(Method::GET, &format!("/orders/{ID}/events")).header("last-event-id", id);
        let problem = client.send(request).await.problem(400, "MALFORMED_REQUEST");
        assert_eq!(problem["errors"][0]["pointer"], "Last-Event-ID");
    }
}

#[tokio::test]
async fn who_has_seen_the_end_need_not_come_back() {
    let gateway = Gateway::start().await;
    gateway.upstream.streams("WatchOrder", |_: WatchOrderRequest| {
        let (sender, receiver) = mpsc::channel(1);
        sender.try_send(finished()).unwrap();
        receiver
    });
    let client = gateway.customer();
    let request = client.request(Method::GET, &format!("/orders/{ID}/events")).header("last-event-id", "6");
    assert_eq!(client.send(request).await.expect(204).text, "");
    // Who comes for the first time is told so.
    let mut reader = Reader::new(&client, None).await;
    assert_eq!(reader.event().await.unwrap().name, "end");
}

#[tokio::test]
async fn a_replica_that_dies_or_leaves_is_replaced_behind_the_readers_back() {
    let gateway = Gateway::start().await;
    let opened = Opened::of(&gateway);
    let mut reader = Reader::new(&gateway.customer(), None).await;
    let (_, stream) = opened.nth(0).await;
    stream.send(entry(1, OrderStatus::Pending)).await.unwrap();
    assert_eq!(reader.ids(1).await, [1]);
    // Broken off, refused, ended too early: each time from what the reader has.
    stream.send(None).await.unwrap();
    let (after, stream) = opened.nth(1).await;
    assert_eq!(after, 1);
    stream.send(entry(2, OrderStatus::Reserved)).await.unwrap();
    assert_eq!(reader.ids(1).await, [2]);
    stream.send(Some(Err(Status::unavailable("leaving")))).await.unwrap();
    let (after, stream) = opened.nth(2).await;
    assert_eq!(after, 2);
    drop(stream);
    opened.0.lock().unwrap()[2].1 = mpsc::channel(1).0;
    let (after, stream) = opened.nth(3).await;
    assert_eq!(after, 2);
    // One that repeats itself is not passed on twice.
    stream.send(entry(2, OrderStatus::Reserved)).await.unwrap();
    stream.send(entry(3, OrderStatus::Paid)).await.unwrap();
    assert_eq!(reader.ids(1).await, [3]);
}

#[tokio::test]
async fn order_may_be_away_for_a_while() {
    let gateway = Gateway::start().await;
    let opened = Opened::of(&gateway);
    let mut reader = Reader::new(&gateway.customer(), None).await;
    let (_, stream) = opened.nth(0).await;
    stream.send(entry(1, OrderStatus::Pending)).await.unwrap();
    assert_eq!(reader.ids(1).await, [1]);
    gateway.upstream.fails("WatchOrder", &Status::unavailable("starting"));
    stream.send(None).await.unwrap();
    until("it was asked some times", async || gateway.upstream.calls("WatchOrder").len() > 3).await;
    let opened = Opened::of(&gateway);
    let (after, stream) = opened.nth(0).await;
    assert_eq!(after, 1);
    stream.send(entry(2, OrderStatus::Reserved)).await.unwrap();
    assert_eq!(reader.ids(1).await, [2]);
}

#[tokio::test]
async fn what_order_refuses_is_the_answer() {
    let gateway = Gateway::start().await;
    let client = gateway.customer();
    for (reason, status) in [(Reason::NotFound, 404), (Reason::Overloaded, 429), (Reason::Unavailable, 503)] {
        gateway.upstream.refuses("WatchOrder", &Refusal::new(reason, "No."));
        client.get(&format!("/orders/{ID}/events")).await.problem(status, reason.code());
    }
    client.get("/orders/x/events").await.problem(400, "MALFORMED_REQUEST");
}

#[tokio::test]
async fn an_order_that_is_no_longer_the_readers_ends_the_stream() {
    let gateway = Gateway::start().await;
    let opened = Opened::of(&gateway);
    let mut reader = Reader::new(&gateway.customer(), None).await;
    let (_, stream) = opened.nth(0).await;
    gateway.upstream.refuses("WatchOrder", &Refusal::new(Reason::NotFound, "No."));
    stream.send(None).await.unwrap();
    let end = reader.event().await.unwrap();
    assert_eq!((end.name.as_str(), &end.data["reason"]), ("end", &json!("unauthenticated")));
    assert_eq!(reader.event().await, None);
}

#[tokio::test]
async fn a_token_that_expires_ends_the_stream() {
    let gateway = Gateway::start().await;
    let opened = Opened::of(&gateway);
    let signer = UserTokenSigner::new(&gateway.auth_options("user"), "local").unwrap();
    let caller = UserCaller { user_id: new_id(), session_id: new_id(), role: Role::Customer, epoch: 0 };
    // Tokens are good for the leeway between clocks beyond their end.
    let token = signer.sign(&caller, Duration::from_secs(1)).unwrap();
    let mut reader = Reader::new(&gateway.anonymous().with_token(token), None).await;
    let (_, stream) = opened.nth(0).await;
    let beats = tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_secs(1));
        loop {
            pace.tick().await;
            if stream.send(Some(Ok(WatchOrderResponse::default()))).await.is_err() {
                return;
            }
        }
    });
    let end = tokio::time::timeout(Duration::from_mins(1), async {
        loop {
            if let Ok(event) = tokio::time::timeout(Duration::from_millis(500), reader.event()).await {
                return event;
            }
        }
    });
    let end = end.await.unwrap().unwrap();
    assert_eq!((end.name.as_str(), &end.data["reason"]), ("end", &json!("unauthenticated")));
    beats.abort();
}

#[tokio::test]
async fn a_session_that_is_revoked_ends_the_stream() {
    let gateway = Gateway::start_unready(|_| {}).await;
    let opened = Opened::of(&gateway);
    let session_id = new_id();
    let signer = UserTokenSigner::new(&gateway.auth_options("user"), "local").unwrap();
    let caller = UserCaller { user_id: new_id(), session_id, role: Role::Customer, epoch: 0 };
    let token = signer.sign(&caller, Duration::from_mins(5)).unwrap();
    let mut reader = Reader::new(&gateway.anonymous().with_token(token), None).await;
    opened.nth(0).await;
    let revoked = Revocation {
        subject: Some(revocation::Subject::SessionId(session_id.to_string())),
        forget_after: Some(prost_types::Timestamp { seconds: i64::from(u32::MAX), nanos: 0 }),
        ..Default::default()
    };
    gateway
        .upstream
        .answers("ListRevocations", &ListRevocationsResponse { revocations: vec![revoked], ..Default::default() });
    let end = reader.event().await.unwrap();
    assert_eq!((end.name.as_str(), &end.data["reason"]), ("end", &json!("unauthenticated")));
}

#[tokio::test]
async fn a_gateway_that_leaves_sends_its_readers_elsewhere() {
    let gateway = Gateway::start().await;
    let opened = Opened::of(&gateway);
    let mut reader = Reader::new(&gateway.customer(), None).await;
    reader.block().await.unwrap();
    let (_, stream) = opened.nth(0).await;
    gateway.leave();
    let last = reader.block().await.unwrap();
    let retry: u64 = last.rsplit_once("retry: ").unwrap().1.parse().unwrap();
    assert!((1_000..=2_000).contains(&retry), "{last}");
    assert_eq!(reader.block().await, None);
    until("order hears of it", async || stream.is_closed()).await;
}

#[tokio::test]
async fn streams_are_so_many_for_one_user_and_in_all() {
    let gateway = Gateway::start_with(|options| {
        options.edge.max_event_streams = 3;
        options.edge.max_event_streams_per_user = 2;
    })
    .await;
    Opened::of(&gateway);
    let (ada, bob, eve) = (gateway.customer(), gateway.customer(), gateway.customer());
    let first = Reader::new(&ada, None).await;
    let _second = Reader::new(&ada, None).await;
    let path = format!("/orders/{ID}/events");
    ada.get(&path).await.problem(429, "RATE_LIMITED");
    let _third = Reader::new(&bob, None).await;
    eve.get(&path).await.problem(429, "OVERLOADED");
    // Streams keep no places from calls, whoever's they are.
    gateway.upstream.answers("GetOrder", &wire::order_reply());
    ada.get(&format!("/orders/{ID}")).await.expect(200);
    drop(first);
    until("room again", async || {
        let response = eve.request(Method::GET, &path).send().await.unwrap();
        response.status() == 200
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_leaves_is_noticed() {
    let gateway = Gateway::start().await;
    let opened = Opened::of(&gateway);
    let reader = Reader::new(&gateway.customer(), None).await;
    let (_, stream) = opened.nth(0).await;
    drop(reader);
    until("order hears of it", async || stream.is_closed()).await;
}

#[tokio::test]
async fn a_reader_that_reads_nothing_is_dropped() {
    use tokio::io::AsyncWriteExt as _;

    let gateway = Gateway::start_with(|options| options.edge.write_timeout = Duration::from_millis(500)).await;
    let opened = Opened::of(&gateway);
    let client = gateway.customer();
    let mut socket = client.connect().await;
    let head = format!(
        "GET /api/v1/orders/{ID}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        client.token()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let (_, stream) = opened.nth(0).await;
    // More than all buffers on the way hold.
    let flood = async {
        for version in 1.. {
            let mut message = entry(version, OrderStatus::Pending);
            if let Some(Ok(WatchOrderResponse { entry: Some(entry), .. })) = &mut message {
                entry.note = "x".repeat(100_000);
            }
            if stream.send(message).await.is_err() {
                return version;
            }
        }
        0
    };
    let sent = tokio::time::timeout(PATIENCE, flood).await.expect("the reader is given up");
    assert!(sent < 1_000, "{sent} messages of 100 kB were taken for a reader that reads none");
    drop(socket);
}
