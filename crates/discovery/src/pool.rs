//! The pool: a client channel over all instances of a service.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use serde_json::{Value, json};
use shop_proto::access;
use shop_server::{Tls, deadline, propagation};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Status, body::Body as TonicBody};
use tower_service::Service;

use crate::{
    budget::RetryBudget,
    call::Call,
    members::Members,
    request::{GRPC_TIMEOUT, parse_timeout},
    resolver::{Instance, Resolver},
    response::{ResponseBody, deadline_exceeded, overloaded},
    target::{Target, Upstream},
};

/// How a pool behaves.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// The time for a call that comes with no deadline; of a streaming one, for its response to begin.
    pub default_timeout: Duration,
    /// Calls in flight, streams included; more are refused with `OVERLOADED`.
    pub max_in_flight: usize,
    /// What connections are protected with; without it they are plain.
    pub tls: Option<Tls>,
}

impl Default for PoolOptions {
    /// Ten seconds, as the servers' own limit, and 1024 calls: five times what one server takes on a connection.
    fn default() -> Self {
        Self { default_timeout: Duration::from_secs(10), max_in_flight: 1024, tls: None }
    }
}

/// A client channel to all instances of a service, to be given to a generated client: `UserServiceClient::new(pool)`.
///
/// Each call goes to the instance with the fewest in flight. One that refuses connections, breaks off or times out gets
/// no more calls until it is well again; a call that may be repeated is, once, elsewhere. Failures are [`Status`]es with
/// the details of a [`Refusal`](shop_proto::status::Refusal).
///
/// Clones share everything and cost an atomic increment.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) members: Arc<Members>,
    pub(crate) budget: RetryBudget,
    in_flight: Arc<Semaphore>,
    default_timeout: Duration,
    _following: DropGuard,
}

impl Pool {
    /// A pool over what the resolver knows, now and later. Connects when it is first used.
    ///
    /// Must be called on a tokio runtime.
    pub fn new(target: Target, resolver: impl Resolver, options: PoolOptions) -> Self {
        let upstream = Arc::new(Upstream::new(target, options.tls));
        let members = Arc::new(Members::new(Arc::clone(&upstream), &resolver.fallback()));
        let mut instances = resolver.watch();
        members.update(&instances.borrow_and_update().clone());
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(follow(instances, Arc::clone(&members))));
        let shared = Shared {
            upstream,
            members,
            budget: RetryBudget::new(),
            in_flight: Arc::new(Semaphore::new(options.max_in_flight.min(Semaphore::MAX_PERMITS))),
            default_timeout: options.default_timeout,
            _following: stop.drop_guard(),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn downgrade(&self) -> WeakPool {
        WeakPool(Arc::downgrade(&self.shared))
    }
}

/// A pool as those see it who do not keep it alive.
pub(crate) struct WeakPool(Weak<Shared>);

impl WeakPool {
    /// What operators see of the pool, while there is one.
    pub(crate) fn report(&self) -> Option<Value> {
        let shared = self.0.upgrade()?;
        Some(json!({
            "service": shared.upstream.service,
            "instances": shared.members.report(),
            "fallback": shared.members.report_fallback(),
        }))
    }
}

/// Keeps the members up to date until the resolver ends; the last set stays.
async fn follow(mut instances: watch::Receiver<Arc<[Instance]>>, members: Arc<Members>) {
    while instances.changed().await.is_ok() {
        let now = instances.borrow_and_update().clone();
        members.update(&now);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("service", &self.shared.upstream.service)
            .field("members", &self.shared.members)
            .finish_non_exhaustive()
    }
}

impl Service<Request<TonicBody>> for Pool {
    type Response = Response<ResponseBody>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<TonicBody>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        let Ok(permit) = Arc::clone(&shared.in_flight).try_acquire_owned() else {
            return Box::pin(async { Err(overloaded()) });
        };
        shared.upstream.name(&mut request);
        propagation::inject(request.headers_mut());

        let now = Instant::now();
        let asked =
            request.headers().get(GRPC_TIMEOUT).and_then(parse_timeout).and_then(|timeout| now.checked_add(timeout));
        let inherited = deadline::current().map(deadline::Deadline::moment);
        let stated = [asked, inherited].into_iter().flatten().min();
        if stated.is_some_and(|deadline| deadline <= now) {
            return Box::pin(async { Err(deadline_exceeded()) });
        }
        let method = access::method(request.uri().path());
        let head_deadline = stated.unwrap_or(now + shared.default_timeout);
        let call = Call { shared, method, deadline: stated, head_deadline, permit };
        Box::pin(async move {
            tokio::time::timeout_at(call.head_deadline, call.run(request))
                .await
                .unwrap_or_else(|_| Err(deadline_exceeded()))
        })
    }
}
