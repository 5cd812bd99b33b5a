//! The layer before every gRPC handler: reads the credential, asks the access table, and puts the [`Caller`] into the
//! request's extensions. What the table does not name is denied.

use std::task::{Context, Poll};

use futures::future::{Either, Ready, ready};
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use shop_proto::{
    access::{self, Rule},
    status::Refusal,
};
use tonic::Status;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    Caller, Verifier,
    verify::{forbidden, invalid_token},
};

/// Services that infrastructure calls without credentials; they tell nothing about the shop's data.
const OPEN_SERVICES: [&str; 3] =
    ["/grpc.health.v1.Health/", "/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/"];

/// Enforces [`shop_proto::access::METHODS`].
#[derive(Clone)]
pub struct AccessLayer {
    verifier: Verifier,
}

impl AccessLayer {
    /// Judges with the verifier of the service it stands before.
    pub fn new(verifier: Verifier) -> Self {
        Self { verifier }
    }

    fn admit(&self, path: &str, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let rule = match access::method(path) {
            Some(method) => method.rule,
            None if OPEN_SERVICES.iter().any(|service| path.starts_with(service)) => return Ok(Caller::Anonymous),
            None => return Err(forbidden()),
        };
        let caller = match bearer(headers)? {
            Some(token) => self.verifier.verify(token)?,
            None => Caller::Anonymous,
        };
        if rule == Rule::Public {
            return Ok(self.verifier.for_everybody(caller));
        }
        self.verifier.permit(rule, &caller)?;
        Ok(caller)
    }
}

/// The token in the `authorization` header, if there is one. Two headers, another scheme or an empty token are an
/// invalid credential, not a missing one.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let credential = value.to_str().ok().filter(|_| values.next().is_none());
    let token = credential.and_then(|credential| {
        let (scheme, token) = credential.split_once(' ')?;
        let token = token.trim_matches(' ');
        (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
    });
    token.map(Some).ok_or_else(invalid_token)
}

impl<S> Layer<S> for AccessLayer {
    type Service = AccessService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AccessService { layer: self.clone(), inner }
    }
}

/// A service behind [`AccessLayer`].
#[derive(Clone)]
pub struct AccessService<S> {
    layer: AccessLayer,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for AccessService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Self::Response, Self::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.layer.admit(request.uri().path(), request.headers()) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                Either::Left(self.inner.call(request))
            }
            Err(refusal) => Either::Right(ready(Ok(Status::from(refusal).into_http()))),
        }
    }
}
