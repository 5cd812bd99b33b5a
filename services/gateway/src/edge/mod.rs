//! The outermost layer: what holds for every request, whatever its route. It tells who asks, counts what they ask, refuses
//! what no handler should see, bounds time and number, catches panics, and finishes every answer.
//!
//! It is one pass. What can be judged at once is judged before a future is made, and nothing is boxed twice.

mod cors;
mod encoding;
mod origin;
mod places;
mod policy;
mod rates;
mod response;
mod url;
mod visit;

use std::{
    any::Any,
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::{MatchedPath, Request},
    response::{IntoResponse, Response},
};
use futures::FutureExt as _;
use http::Method;
use http_body::Body as _;
use ipnet::IpNet;
use shop_auth::{Caller, Verifier};
use shop_proto::status::Reason;
use shop_server::{
    Peer, address_block,
    deadline::{self, Deadline},
};
use tokio::sync::watch;
use tower_layer::Layer;
use tower_service::Service;

use crate::{EdgeOptions, extract::longest_body, openapi, problem::Problem, routes::PREFIX};

pub(crate) use encoding::{Forms, without_coding};
pub(crate) use policy::Policy;
pub(crate) use response::{not_found, other_method};
pub(crate) use visit::Visit;

use origin::Origin;
use places::Places;
use rates::{Client, Clients, Excess, Left};
use response::Answering;
use visit::Credential;

/// What the services get a request's whole time for; then the gateway still has to hear and pass on their answer.
const GRACE: Duration = Duration::from_millis(500);
/// When to ask again while the interface is closed: somebody is working on it.
const MAINTENANCE_RETRY_AFTER: Duration = Duration::from_secs(30);
/// Attempts to sign in are dear, each a password hash or a write, and who guesses makes many.
const SIGN_IN_PATHS: [&str; 3] = ["/auth/login", "/auth/register", "/auth/refresh"];

/// The bounds of the gateway, and what it needs to know who asks.
pub(crate) struct Edge {
    policy: watch::Receiver<Arc<Policy>>,
    verifier: Verifier,
    proxies: Vec<IpNet>,
    clients: Clients,
    most_in_flight_per_client: u32,
    places: Places,
    request_timeout: Duration,
    /// What a body may take to begin with; more for each byte that came.
    body_timeout: Duration,
}

impl Edge {
    pub(crate) fn new(
        options: &EdgeOptions,
        policy: watch::Receiver<Arc<Policy>>,
        verifier: Verifier,
        max_in_flight: usize,
        request_timeout: Duration,
    ) -> Self {
        Self {
            policy,
            verifier,
            proxies: options.trusted_proxies.clone(),
            clients: Clients::new(),
            most_in_flight_per_client: options.max_in_flight_per_client,
            places: Places::new(max_in_flight),
            request_timeout,
            body_timeout: options.body_timeout,
        }
    }

    /// Judges a request by all but its route's own rules, and marks it with its [`Visit`]. What is learnt on the way is
    /// noted for the answer, a refusal too.
    fn admit(self: &Arc<Self>, request: &mut Request, answering: &mut Answering) -> Result<Admitted, Problem> {
        url::readable(request)?;
        let policy = Arc::clone(&answering.policy);
        if policy.maintenance && request.uri().path().starts_with(PREFIX) {
            let closed = Problem::new(Reason::Maintenance, "The shop is being worked on. Nothing was done.");
            return Err(closed.with_retry_after(MAINTENANCE_RETRY_AFTER));
        }
        let credential = self.identify(request);
        let (origin, block) = (answering.origin, address_block(answering.origin.address));
        let client = match &credential.caller {
            Ok(Caller::User(user)) => Client::User(user.user_id),
            _ => Client::Address(block),
        };
        answering.policy_told = policy.general.told.clone();
        let left = self.clients.enter(client, policy.general.rate, self.most_in_flight_per_client);
        answering.left[0] = Some(counted(left, answering, 0)?);
        // From here on the visit gives back what was counted.
        let visit = Visit::new(Arc::clone(self), origin, credential, client);
        if signs_in(request) {
            answering.policy_told = policy.sign_in.told.clone();
            let left = self.clients.take(Client::SignIn(block), policy.sign_in.rate);
            answering.left[1] = Some(counted(left, answering, 1)?);
        }
        let sends_body = sends_body(request);
        if !sends_body {
            visit.begin()?;
        }
        request.extensions_mut().insert(visit.clone());
        Ok(Admitted { visit, sends_body })
    }

    fn identify(&self, request: &Request) -> Credential {
        match shop_auth::bearer(request.headers()) {
            Ok(None) => Credential { authorization: None, caller: Ok(Caller::Anonymous) },
            Ok(Some(token)) => Credential {
                caller: self.verifier.verify(token),
                authorization: request.headers().get(http::header::AUTHORIZATION).cloned(),
            },
            Err(refusal) => Credential { authorization: None, caller: Err(refusal) },
        }
    }

    /// When even the gateway's own code must be done. Where a body has yet to come, that has its own bounds, and the
    /// request's time runs from its end.
    fn end(&self, deadline: Deadline, sends_body: bool) -> tokio::time::Instant {
        let body = if sends_body { longest_body(self.body_timeout) } else { Duration::ZERO };
        deadline.moment() + GRACE + body
    }
}

/// A request that is let in.
struct Admitted {
    visit: Visit,
    sends_body: bool,
}

fn counted(left: Result<Left, Excess>, answering: &mut Answering, bucket: usize) -> Result<Left, Problem> {
    left.map_err(|excess| match excess {
        Excess::Rate { retry_after, left } => {
            answering.left[bucket] = Some(left);
            Problem::new(Reason::RateLimited, "You ask more often than is allowed.").with_retry_after(retry_after)
        }
        Excess::InFlight => Problem::new(Reason::RateLimited, "Too many of your requests are being worked on."),
    })
}

fn signs_in(request: &Request) -> bool {
    request.method() == Method::POST
        && request.uri().path().strip_prefix(PREFIX).is_some_and(|path| SIGN_IN_PATHS.contains(&path))
}

/// Whether a handler has a body to read.
fn sends_body(request: &Request) -> bool {
    matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH) && !request.body().is_end_stream()
}

/// Puts [`Edge`] before routes, with [`axum::Router::layer`].
#[derive(Clone)]
pub(crate) struct EdgeLayer(pub(crate) Arc<Edge>);

impl<S> Layer<S> for EdgeLayer {
    type Service = EdgeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        EdgeService { edge: Arc::clone(&self.0), inner }
    }
}

/// What [`EdgeLayer`] makes of a service.
#[derive(Clone)]
pub(crate) struct EdgeService<S> {
    edge: Arc<Edge>,
    inner: S,
}

impl<S> Service<Request> for EdgeService<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let edge = &self.edge;
        let policy = edge.policy.borrow().clone();
        let peer = request.extensions().get::<Peer>().copied();
        let Some(peer) = peer else { return Box::pin(async { Ok(Answering::nowhere()) }) };
        let origin = Origin::of(peer, request.headers(), &edge.proxies);
        let mut answering = Answering::new(&request, origin, policy);
        if let Some(response) = preflight(&request, &answering) {
            return Box::pin(async move { Ok(answering.finish(response, None).await) });
        }
        match edge.admit(&mut request, &mut answering) {
            Ok(Admitted { visit, sends_body }) => {
                let deadline = Deadline::after(edge.request_timeout);
                let end = edge.end(deadline, sends_body);
                let handled = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
                let handled = tokio::time::timeout_at(end, deadline::scope(deadline, handled));
                Box::pin(async move {
                    let response = match handled.await {
                        Ok(Ok(Ok(response))) => response,
                        Ok(Err(panic)) => Problem::internal(panic_message(panic.as_ref())).into_response(),
                        Err(_) => late().into_response(),
                    };
                    visit.answered();
                    Ok(answering.finish(response, Some(&visit)).await)
                })
            }
            Err(problem) => Box::pin(async move { Ok(answering.finish(problem.into_response(), None).await) }),
        }
    }
}

fn preflight(request: &Request, answering: &Answering) -> Option<Response> {
    if request.method() != Method::OPTIONS {
        return None;
    }
    let route = request.extensions().get::<MatchedPath>()?;
    answering.policy.cors.preflight(request.method(), request.headers(), openapi::allow(route.as_str()))
}

fn late() -> Problem {
    Problem::new(Reason::DeadlineExceeded, "The request was not answered in time.")
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a handler panicked: {}", message.unwrap_or("no message"))
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, routing};
    use http::StatusCode;
    use http_body_util::BodyExt as _;
    use shop_auth::{KeyBundle, Revocations, keys};
    use shop_types::settings::Settings;
    use tower::ServiceExt as _;

    use super::*;

    fn edge() -> Edge {
        let folder = tempfile::tempdir().unwrap();
        let paths = keys::create(folder.path(), &["user"]).unwrap();
        let bundle = KeyBundle::load(&paths.bundle()).unwrap();
        let verifier = Verifier::new(bundle, "gateway", "local", Revocations::local());
        let options = EdgeOptions::default();
        let (_, policy) = watch::channel(Arc::new(Policy::new(&options, &Settings::default(), 1)));
        Edge::new(&options, policy, verifier, 1, Duration::from_secs(10))
    }

    fn visit(edge: &Arc<Edge>, user: u128) -> Visit {
        let origin = Origin { address: [127, 0, 0, 1].into(), is_https: false };
        let credential = Credential { authorization: None, caller: Ok(Caller::Anonymous) };
        let client = Client::User(shop_types::Uuid::from_u128(user));
        edge.clients.enter(client, edge.policy.borrow().general.rate, 1_000).unwrap();
        Visit::new(Arc::clone(edge), origin, credential, client)
    }

    #[test]
    fn a_body_takes_the_room_of_its_bytes_whatever_pieces_it_comes_in() {
        let edge = Arc::new(edge());
        let visits: Vec<_> = (0..8).map(|user| visit(&edge, user)).collect();
        // Sixteen times as many pieces as there are kilobytes of room.
        for visit in &visits {
            for _ in 0..128 * 1024 {
                visit.hold(1).unwrap();
            }
        }
        visit(&edge, 9).hold(1024 * 1024).unwrap();
    }

    #[test]
    fn one_client_takes_its_share_of_the_room_and_no_more() {
        let edge = Arc::new(edge());
        let mib = 1024 * 1024;
        let held: Vec<_> = (0..8).map(|_| visit(&edge, 1)).collect();
        for visit in &held {
            visit.hold(mib).unwrap();
        }
        let more = visit(&edge, 1);
        assert_eq!(more.hold(1).unwrap_err().reason(), Reason::RateLimited);
        visit(&edge, 2).hold(mib).unwrap();
        held[0].answered();
        more.hold(mib).unwrap();

        let answer = |user| edge.places.answer(vec![0; 2 * mib].into(), &visit(&edge, user));
        let mut sent: Vec<_> = (0..8).map(|_| answer(1).unwrap()).collect();
        assert_eq!(answer(1).unwrap_err().reason(), Reason::RateLimited);
        let _other = answer(2).unwrap();
        sent.pop();
        sent.push(answer(1).unwrap());
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_and_the_next_request_is_served() {
        let panics = || async { assert!(std::hint::black_box(false), "the secret is 42") };
        let router = Router::new()
            .route("/panics", routing::get(panics))
            .route("/works", routing::get(|| async { "fine" }))
            .layer(EdgeLayer(Arc::new(edge())));
        let get = |path: &str| {
            let mut request = Request::get(path).header("host", "shop.test").body(Body::empty()).unwrap();
            request.extensions_mut().insert(Peer { address: ([127, 0, 0, 1], 4711).into(), is_proxy: false });
            router.clone().oneshot(request)
        };
        let response = get("/panics").await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&problem["code"], &problem["instance"]), (&"INTERNAL".into(), &"/panics".into()));
        assert!(!problem.to_string().contains("secret"));
        // There is one place: the panic gave it back.
        assert_eq!(get("/works").await.unwrap().status(), StatusCode::OK);
    }
}
