//! Span, metrics by route template, and id for HTTP requests.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Instant,
};

use axum::extract::MatchedPath;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use opentelemetry::{KeyValue, StringValue, global, metrics::Histogram};
use pin_project_lite::pin_project;
use tokio::task::futures::TaskLocalFuture;
use tower_layer::Layer;
use tower_service::Service;

use super::{Peer, request_id};
use crate::{
    propagation,
    telemetry::{
        metrics::DURATION_BUCKETS,
        request::{InSpan, RequestSpan},
    },
};

/// The label of requests that no route matched: their paths are the client's to choose.
const UNMATCHED: &str = "unmatched";

/// A layer for [`axum::Router::layer`], outermost: there the route is known. A request gets a span that continues the
/// client's trace, a duration by method, route template and status, and an id: the one in `X-Request-Id`, if it is sane,
/// or a new one, which the answer, the span and the log lines have.
#[derive(Debug, Clone)]
pub struct ObserveHttp {
    instruments: Arc<Instruments>,
}

#[derive(Debug)]
struct Instruments {
    duration: Histogram<f64>,
    in_flight: Arc<AtomicI64>,
}

impl ObserveHttp {
    /// The instruments of the server of this name.
    pub fn new(server: &'static str) -> Self {
        let meter = global::meter("shop");
        let duration = meter
            .f64_histogram("http.server.request.duration")
            .with_unit("s")
            .with_description("Time from a request's head to the head of its answer")
            .with_boundaries(DURATION_BUCKETS.to_vec())
            .build();
        let in_flight = Arc::new(AtomicI64::new(0));
        let observed = Arc::clone(&in_flight);
        meter
            .i64_observable_up_down_counter("http.server.active_requests")
            .with_description("Requests begun and not answered")
            .with_callback(move |observer| {
                observer.observe(observed.load(Ordering::Relaxed), &[KeyValue::new("server", server)]);
            })
            .build();
        Self { instruments: Arc::new(Instruments { duration, in_flight }) }
    }
}

impl<S> Layer<S> for ObserveHttp {
    type Service = ObservedHttp<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ObservedHttp { inner, instruments: Arc::clone(&self.instruments) }
    }
}

/// What [`ObserveHttp`] makes of a service.
#[derive(Debug, Clone)]
pub struct ObservedHttp<S> {
    inner: S,
    instruments: Arc<Instruments>,
}

impl<S, B, R> Service<Request<B>> for ObservedHttp<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ObservedFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let started = Instant::now();
        let method = method_name(request.method());
        let route = request.extensions().get::<MatchedPath>().cloned();
        let route_name = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
        let id = request_id::of(request.headers());
        let trusted = request.extensions().get::<Peer>().is_some_and(|peer| peer.is_proxy);
        let caller = propagation::extract(request.headers(), trusted);
        let span = RequestSpan::begin(caller, || {
            tracing::info_span!(
                "http",
                request.id = id.to_str().unwrap_or_default(),
                otel.name = format!("{method} {route_name}"),
                otel.kind = "server",
                otel.status_code = tracing::field::Empty,
                http.request.method = method,
                http.route = route_name,
                http.response.status_code = tracing::field::Empty,
            )
        });
        self.instruments.in_flight.fetch_add(1, Ordering::Relaxed);
        // The call itself may already log or speak to others, so it too is inside the span.
        let entered = span.enter();
        let future = request_id::CURRENT.sync_scope(id.clone(), || self.inner.call(request));
        drop(entered);
        let future = span.around(request_id::CURRENT.scope(id.clone(), future));
        let instruments = Arc::clone(&self.instruments);
        let observation = Observation { instruments, method, route, span, started, status: None };
        ObservedFuture { future, id, observation }
    }
}

pin_project! {
    /// The future of [`ObservedHttp`].
    pub struct ObservedFuture<F> {
        #[pin]
        future: InSpan<TaskLocalFuture<HeaderValue, F>>,
        id: HeaderValue,
        observation: Observation,
    }
}

impl<F, R, E> Future for ObservedFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut output = ready!(this.future.poll(context));
        if let Ok(response) = &mut output {
            this.observation.status = Some(response.status());
            response.headers_mut().insert(request_id::HEADER, this.id.clone());
        }
        Poll::Ready(output)
    }
}

/// One request. Dropped without a status it was given up by its client, which gets 499 as nginx has it.
#[derive(Debug)]
struct Observation {
    instruments: Arc<Instruments>,
    method: &'static str,
    route: Option<MatchedPath>,
    span: RequestSpan,
    started: Instant,
    status: Option<StatusCode>,
}

const CLIENT_CLOSED_REQUEST: u16 = 499;

impl Drop for Observation {
    fn drop(&mut self) {
        let status = self.status.map_or(CLIENT_CLOSED_REQUEST, |status| status.as_u16());
        self.instruments.in_flight.fetch_sub(1, Ordering::Relaxed);
        let route = match &self.route {
            Some(route) => StringValue::from(route.as_str().to_owned()),
            None => StringValue::from(UNMATCHED),
        };
        self.instruments.duration.record(
            self.started.elapsed().as_secs_f64(),
            &[
                KeyValue::new("http.request.method", self.method),
                KeyValue::new("http.route", route),
                KeyValue::new("http.response.status_code", i64::from(status)),
            ],
        );
        if let Some(span) = self.span.recorded() {
            span.record("http.response.status_code", status);
            if status >= 500 {
                span.record("otel.status_code", "ERROR");
            }
        }
    }
}

/// The methods of RFC 9110 and PATCH; others share a label, since a client can make up any.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "_OTHER",
    }
}
