//! Asks an ejected instance whether it is well: `grpc.health.v1.Health/Check` of the whole server, on a connection of its
//! own.

use http::{Request, uri::Authority};
use thiserror::Error;
use tonic::{Code, Status, body::Body as TonicBody};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    connection::{ConnectError, connect},
    request::RequestBody,
    target::Upstream,
    verdict::{self, Verdict},
};

/// Why an instance stays out.
#[derive(Debug, Error)]
pub(crate) enum ProbeError {
    #[error(transparent)]
    Connect(ConnectError),
    #[error("the health check failed")]
    Check(#[source] Status),
    #[error("another process has the instance's address")]
    WrongInstance,
    #[error("the instance says that it is {0:?}")]
    NotServing(ServingStatus),
}

/// Succeeds if the instance may get calls. A server without the health service is well when it answers.
pub(crate) async fn probe(authority: &Authority, upstream: &Upstream) -> Result<(), ProbeError> {
    let sender = connect(authority, upstream).await.map_err(ProbeError::Connect)?.sender;
    let transport = tower::service_fn(|mut request: Request<TonicBody>| {
        upstream.name(&mut request);
        upstream.route(&mut request, authority);
        sender.clone().send_request(request.map(RequestBody::streaming))
    });
    match HealthClient::new(transport).check(HealthCheckRequest::default()).await {
        Ok(response) => match response.into_inner().status() {
            ServingStatus::Serving => Ok(()),
            status => Err(ProbeError::NotServing(status)),
        },
        Err(status) if status.code() == Code::Unimplemented => Ok(()),
        Err(status) if verdict::judge_status(&status) == Verdict::WrongInstance => Err(ProbeError::WrongInstance),
        Err(status) => Err(ProbeError::Check(status)),
    }
}
