//! `grpc.health.v1.Health` over [`Readiness`].

use futures::{Stream, StreamExt as _, stream, stream::BoxStream};
use shop_proto::access;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server::Health,
};

use crate::readiness::Readiness;

/// All services of a server are ready together: "" and each of their full names have one status.
#[derive(Debug)]
pub(super) struct ReadinessHealth {
    readiness: Readiness,
    package: String,
}

impl ReadinessHealth {
    pub(super) fn new(name: &'static str, readiness: Readiness) -> Self {
        Self { readiness, package: format!("/shop.{name}.v1.") }
    }

    fn knows(&self, service: &str) -> bool {
        service.is_empty()
            || access::METHODS.iter().any(|method| {
                method.path.starts_with(&self.package)
                    && method.path[1..].strip_prefix(service).is_some_and(|rest| rest.starts_with('/'))
            })
    }
}

#[tonic::async_trait]
impl Health for ReadinessHealth {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.knows(&request.get_ref().service) {
            return Err(Status::not_found("service not registered"));
        }
        Ok(Response::new(answer(self.readiness.is_ready())))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    /// An unknown service is reported as such and the stream stays open, as the protocol asks.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let answers = if self.knows(&request.get_ref().service) {
            changes(self.readiness.clone()).map(|ready| Ok(answer(ready))).boxed()
        } else {
            let unknown = HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() };
            stream::iter([Ok(unknown)]).chain(stream::pending()).boxed()
        };
        Ok(Response::new(answers))
    }
}

fn answer(ready: bool) -> HealthCheckResponse {
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status.into() }
}

/// The present readiness, then each change.
fn changes(readiness: Readiness) -> impl Stream<Item = bool> {
    stream::unfold((readiness, None), |(readiness, last)| async move {
        let now = match last {
            None => readiness.is_ready(),
            Some(last) => readiness.changed_from(last).await,
        };
        Some((now, (readiness, Some(now))))
    })
}
