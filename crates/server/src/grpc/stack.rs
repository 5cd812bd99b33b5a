//! The steps of a call, outermost first.

use std::{convert::Infallible, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use http::{HeaderMap, HeaderName, Request, Response};
use shop_proto::status::{Reason, Refusal};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body};
use tower_service::Service;

use super::{
    body::CallBody,
    built_in::BuiltIn,
    methods::{Method, Methods},
    observation::Instruments,
};
use crate::{deadline, options::ServerOptions, readiness::Readiness};

/// Set by the caller's pool: which server of which shop the call is meant for.
const TARGET_HEADER: HeaderName = HeaderName::from_static("x-shop-target");
/// When a shed call may come again: by then the calls that filled the server are answered or past half their time.
const SHED_RETRY_AFTER: Duration = Duration::from_secs(1);

/// One server's layers around its routes `S`.
pub(super) struct Stack<S> {
    target: String,
    request_timeout: Duration,
    slots: Semaphore,
    methods: Methods,
    instruments: Arc<Instruments>,
    built_in: BuiltIn,
    routes: S,
}

impl<S> Stack<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    pub(super) fn new(name: &'static str, options: &ServerOptions, routes: S, readiness: Readiness) -> Self {
        Self {
            target: format!("{}/{name}", options.shop_uid),
            request_timeout: options.request_timeout,
            slots: Semaphore::new(options.max_in_flight.min(Semaphore::MAX_PERMITS)),
            methods: Methods::new(),
            instruments: Arc::new(Instruments::new(name)),
            built_in: BuiltIn::new(name, readiness),
            routes,
        }
    }

    /// Answers a call; whatever happens, with a gRPC status. `leaving` ends the streams of the call's connection.
    pub(super) async fn call(&self, request: Request<Body>, leaving: &CancellationToken) -> Response<CallBody> {
        let method = self.methods.at(request.uri().path());
        let observation = self.instruments.begin(method, &request);
        let answered = observation.span().around(refuse_panics(self.admitted(method, request))).await;
        let response = answered.unwrap_or_else(|refusal| Status::from(refusal).into_http());
        CallBody::of(response, observation, method.server_streaming.then_some(leaving))
    }

    async fn admitted(&self, method: Method, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        self.check_target(request.headers())?;
        if BuiltIn::serves(request.uri().path()) {
            return Ok(self.built_in.call(request).await);
        }
        // Held until the answer's headers: a stream that is open for hours is idle for most of them, and how many there are
        // is bounded by the connections.
        let _slot = self.slots.try_acquire().map_err(|_| overloaded())?;
        self.within_deadline(method, request).await
    }

    fn check_target(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        match headers.get(TARGET_HEADER) {
            Some(target) if target.as_bytes() != self.target.as_bytes() => {
                Err(Refusal::new(Reason::WrongInstance, "The call is meant for another server."))
            }
            _ => Ok(()),
        }
    }

    /// Drops the handler at the deadline. For a stream that covers the time to its beginning.
    async fn within_deadline(&self, method: Method, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let deadline = deadline::of_call(request.headers(), self.request_timeout)?;
        let mut routes = self.routes.clone();
        let work = async {
            let Ok(()) = std::future::poll_fn(|context| routes.poll_ready(context)).await;
            let Ok(response) = routes.call(request).await;
            response
        };
        tokio::time::timeout_at(deadline.moment(), deadline::scope(deadline, work)).await.map_err(|_| {
            tracing::debug!(rpc.method = method.full_name, "the deadline passed");
            Refusal::new(Reason::DeadlineExceeded, "The call took longer than its deadline.")
        })
    }
}

fn overloaded() -> Refusal {
    Refusal::new(Reason::Overloaded, "The server is busy.").with_retry_after(SHED_RETRY_AFTER)
}

/// A panic is our bug and costs this call alone; the panic hook has logged it with its backtrace.
async fn refuse_panics(work: impl Future<Output = Result<Response<Body>, Refusal>>) -> Result<Response<Body>, Refusal> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|_panic| Err(Refusal::new(Reason::Internal, "Something went wrong on our side.")))
}
