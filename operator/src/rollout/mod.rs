//! What to do next, from the spec and what was read of the world. Pure: the same input has the same answer, so that an
//! operator that was killed at any point goes on where it was.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    build::Blueprint,
    observed::Observed,
    shop::{Phase, ServiceStatus, Shop},
};

/// What is to be done and what is to be said.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The objects to make, if any may be written at the moment. `None` while the Shop is paused or nothing of it is valid.
    pub blueprint: Option<Blueprint>,
    /// Names of finished Jobs that are not needed any more.
    pub obsolete_jobs: Vec<String>,
    /// Ids of instances in Consul whose pods are gone, to be taken out. Empty whenever pods or Consul could not be read.
    pub dead_instances: Vec<String>,
    /// Whether the settings are to be written to Consul.
    pub write_settings: bool,
    /// The phase to be shown.
    pub phase: Phase,
    /// Each of [`crate::shop::ConditionType`], with a message that says what to do.
    pub conditions: Vec<Condition>,
    /// Each process.
    pub services: Vec<ServiceStatus>,
    /// The version that every process runs.
    pub version: Option<String>,
}

/// Decides.
pub fn decide(_shop: &Shop, _observed: &Observed) -> Decision {
    todo!()
}
