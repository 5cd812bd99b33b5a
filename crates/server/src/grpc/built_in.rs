//! What every gRPC server serves beside its own services: health, and reflection of the contracts.

use std::{convert::Infallible, sync::OnceLock};

use http::{Request, Response};
use shop_proto::DESCRIPTOR_SET;
use tonic::{body::Body, service::Routes};
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::server::Builder;
use tower_service::Service as _;

use super::health::ReadinessHealth;
use crate::readiness::Readiness;

const HEALTH_PREFIX: &str = "/grpc.health.v1.";
const REFLECTION_PREFIX: &str = "/grpc.reflection.";

/// Reachable without credentials, and not shed: a busy server is not a sick one.
#[derive(Debug)]
pub(super) struct BuiltIn {
    health: Routes,
    /// Made on first use: the parsed contracts take memory and start-up time that most processes never need.
    reflection: OnceLock<Routes>,
}

impl BuiltIn {
    pub(super) fn new(name: &'static str, readiness: Readiness) -> Self {
        let health = Routes::new(HealthServer::new(ReadinessHealth::new(name, readiness))).prepare();
        Self { health, reflection: OnceLock::new() }
    }

    /// Whether this path is answered here.
    pub(super) fn serves(path: &str) -> bool {
        path.starts_with(HEALTH_PREFIX) || path.starts_with(REFLECTION_PREFIX)
    }

    pub(super) async fn call(&self, request: Request<Body>) -> Response<Body> {
        let mut routes = if request.uri().path().starts_with(HEALTH_PREFIX) {
            self.health.clone()
        } else {
            self.reflection.get_or_init(reflection).clone()
        };
        routes.call(request).await.unwrap_or_else(|never: Infallible| match never {})
    }
}

fn reflection() -> Routes {
    let builder = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    match (builder().build_v1(), builder().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => Routes::new(v1).add_service(v1alpha).prepare(),
        (Err(error), _) | (_, Err(error)) => {
            // The set is made at build time; a broken one shows in this crate's tests.
            tracing::error!(error = %error, "the contracts can't be reflected");
            Routes::default()
        }
    }
}
