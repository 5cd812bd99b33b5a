//! What a spec says of one process, wherever in it that stands.

use k8s_openapi::api::core::v1::ResourceRequirements;

use super::{Autoscaling, Component, Engine, ServiceSpec, ShopSpec};

impl ShopSpec {
    /// Which autoscaling a process has, if any. A SQLite file allows one pod.
    pub fn autoscaling(&self, component: Component) -> Option<&Autoscaling> {
        let wanted = match self.service(component) {
            Some(service) => service.autoscaling.as_ref(),
            None => self.gateway.autoscaling.as_ref(),
        };
        wanted.filter(|_| !self.has_file(component))
    }

    /// How many pods a process has at least.
    pub fn least_replicas(&self, component: Component) -> i32 {
        let wanted = match self.service(component) {
            Some(service) => service.replicas,
            None => self.gateway.replicas,
        };
        match self.autoscaling(component) {
            _ if self.has_file(component) => 1,
            Some(autoscaling) => autoscaling.min_replicas,
            None => wanted.unwrap_or(1),
        }
    }

    /// What the spec says of a pod's share of its node.
    pub fn resources(&self, component: Component) -> Option<&ResourceRequirements> {
        match self.service(component) {
            Some(service) => service.resources.as_ref(),
            None => self.gateway.resources.as_ref(),
        }
    }

    /// Where in the spec a process is described.
    pub fn path(component: Component) -> &'static str {
        match component {
            Component::User => "spec.services.user",
            Component::Product => "spec.services.product",
            Component::Order => "spec.services.order",
            Component::Gateway => "spec.gateway",
        }
    }

    /// Whether a process keeps its data in a file of its own.
    pub fn has_file(&self, component: Component) -> bool {
        self.database.engine == Engine::Sqlite && component.database().is_some()
    }

    fn service(&self, component: Component) -> Option<&ServiceSpec> {
        match component {
            Component::User => Some(&self.services.user),
            Component::Product => Some(&self.services.product),
            Component::Order => Some(&self.services.order),
            Component::Gateway => None,
        }
    }
}
