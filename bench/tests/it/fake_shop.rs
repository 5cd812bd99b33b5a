//! What the load generator takes for a shop: answers every request as a shop in order would, unless the test says
//! otherwise, and keeps what it was asked.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::{IntoResponse, Response},
    serve::ListenerExt as _,
};
use futures::{future::BoxFuture, stream};
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Below the API's root, with the query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// How many requests had this path and key before it.
    pub(crate) earlier: usize,
}

impl Call {
    pub(crate) fn is_order(&self) -> bool {
        self.method == Method::POST && self.path == "/orders"
    }

    /// Whether it belongs to the load rather than to what goes before it.
    pub(crate) fn is_product(&self) -> bool {
        self.path.starts_with("/products/")
    }

    pub(crate) fn key(&self) -> Option<&str> {
        self.headers.get("idempotency-key").map(|key| key.to_str().unwrap())
    }
}

/// Gives an answer of the test's own, or none for the usual one.
pub(crate) type Behaviour = Box<dyn Fn(Call) -> BoxFuture<'static, Option<Response>> + Send + Sync>;

struct Inner {
    behaviour: Behaviour,
    calls: Mutex<Vec<Call>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    connections: AtomicUsize,
}

/// A shop of one process that has no shop in it.
pub(crate) struct FakeShop {
    address: SocketAddr,
    inner: Arc<Inner>,
}

impl FakeShop {
    /// One in order.
    pub(crate) async fn start() -> Self {
        Self::that(Box::new(|_| Box::pin(std::future::ready(None)))).await
    }

    /// One that answers some requests otherwise, at once.
    pub(crate) async fn answering(answer: impl Fn(Call) -> Option<Response> + Send + Sync + 'static) -> Self {
        Self::that(Box::new(move |call| Box::pin(std::future::ready(answer(call))))).await
    }

    pub(crate) async fn that(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            behaviour,
            calls: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(serve).with_state(Arc::clone(&inner));
        let counting = Arc::clone(&inner);
        let listener = listener.tap_io(move |_| {
            counting.connections.fetch_add(1, Ordering::Relaxed);
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, inner }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.inner.calls.lock().unwrap().clone()
    }

    pub(crate) fn product_calls(&self) -> usize {
        self.calls().iter().filter(|call| call.is_product()).count()
    }

    pub(crate) fn most_in_flight(&self) -> usize {
        self.inner.most_in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn connections(&self) -> usize {
        self.inner.connections.load(Ordering::Relaxed)
    }
}

/// Counts down when the request is over, cut off or not.
struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve(State(shop): State<Arc<Inner>>, request: Request) -> Response {
    let now = shop.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
    let _in_flight = InFlight(&shop.in_flight);
    shop.most_in_flight.fetch_max(now, Ordering::Relaxed);
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().unwrap().as_str();
    let mut call = Call {
        method: head.method,
        path: target.strip_prefix("/api/v1").unwrap_or(target).to_owned(),
        headers: head.headers,
        body: axum::body::to_bytes(body, usize::MAX).await.unwrap(),
        earlier: 0,
    };
    {
        let mut calls = shop.calls.lock().unwrap();
        call.earlier = calls.iter().filter(|other| (&other.path, other.key()) == (&call.path, call.key())).count();
        calls.push(call.clone());
    }
    let answer = (shop.behaviour)(call.clone()).await;
    answer.unwrap_or_else(|| usual(&call))
}

/// What a shop in order answers.
fn usual(call: &Call) -> Response {
    let path = call.path.split('?').next().unwrap();
    match (&call.method, path) {
        (&Method::POST, "/auth/register") => json_with(StatusCode::CREATED, &json!({})),
        (&Method::POST, "/auth/login" | "/auth/refresh") => {
            let tokens =
                json!({"access_token": "a.b.c", "refresh_token": "r", "token_type": "Bearer", "expires_in": 300});
            json_with(StatusCode::OK, &tokens)
        }
        (&Method::GET, "/products") => products(),
        (&Method::POST, "/orders") => {
            let order = json!({"id": uuid::Uuid::now_v7(), "total": {"amount": 100, "currency": "USD"}});
            json_with(StatusCode::CREATED, &order)
        }
        (&Method::POST, path) if path.ends_with("/cancel") => json_with(StatusCode::OK, &json!({})),
        (&Method::POST, _) => json_with(StatusCode::CREATED, &json!({})),
        (&Method::GET, path) if path.starts_with("/products/") && call.headers.contains_key(header::IF_NONE_MATCH) => {
            (StatusCode::NOT_MODIFIED, [(header::ETAG, "\"1\"")]).into_response()
        }
        _ => ([(header::ETAG, "\"1\"")], json_with(StatusCode::OK, &json!({}))).into_response(),
    }
}

fn products() -> Response {
    let product =
        |n: u32| json!({"id": format!("p{n}"), "name": format!("Blue Mug {n}"), "availability": {"available": 5}});
    let next = [(header::LINK, "</api/v1/products?cursor=next>; rel=\"next\"")];
    let page = json!({"items": (0..100).map(product).collect::<Vec<_>>(), "next_cursor": "next"});
    (next, json_with(StatusCode::OK, &page)).into_response()
}

fn json_with(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// A failure as the shop words it.
pub(crate) fn problem(status: StatusCode, code: &str) -> Response {
    let problem = json!({"status": status.as_u16(), "code": code, "title": code, "detail": "as the test says"});
    (status, [(header::CONTENT_TYPE, "application/problem+json")], problem.to_string()).into_response()
}

/// An answer that breaks off: the connection dies before it is whole.
pub(crate) fn broken() -> Response {
    let parts = [Ok("half of "), Err("the connection dies")];
    ([(header::CONTENT_LENGTH, "100")], Body::from_stream(stream::iter(parts))).into_response()
}
