//! The objects of a shop, from a blueprint. Pure, and compared with committed snapshots: what is not in here is not in the
//! cluster.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::Job,
    core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};

use crate::{
    cluster::Kind,
    shop::{Component, Components, DatabaseService, Shop},
};

mod autoscaler;
mod claim;
mod config_map;
pub(crate) mod container;
mod deployment;
mod digest;
mod disruption_budget;
mod environment;
mod ingress;
mod job;
pub mod names;
mod network_policy;
mod pod;
pub(crate) mod resources;
mod service;
mod service_account;
#[cfg(test)]
mod tests;

pub use deployment::template_digest;
pub use digest::digest;
pub use job::job_name;

/// What was decided about the objects of a shop.
#[derive(Debug, Clone, PartialEq)]
pub struct Blueprint {
    /// The settings for a cold start, as JSON.
    pub settings: String,
    /// What the pods of each process run. With `None` its Deployment and autoscaler are left as they are, also when there are
    /// none.
    pub processes: Components<Option<Process>>,
    /// Jobs that there should be. One that is there already is not written again: a Job can't change.
    pub jobs: Vec<JobPlan>,
    /// Volumes of SQLite files.
    pub claims: Vec<ClaimPlan>,
    /// The port of each database server.
    pub database_ports: BTreeMap<DatabaseService, i32>,
    /// Whether the Ingress of the spec may be made; if not, the one that is there is left as it is.
    pub ingress: bool,
}

/// The pods of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// What they run.
    pub release: Release,
    /// How many there are, and who says so.
    pub replicas: Replicas,
    /// Digest of what they read only when they start.
    pub checksum: String,
    /// Digest of where the database is and how it is entered: another one has to be migrated first.
    pub database: Option<String>,
    /// What ran before, until what runs now is ready: where a failure goes back to (SQLite).
    pub previous: Option<Release>,
    /// What failed and was taken back; it is not tried again (SQLite).
    pub failure: Option<Failure>,
}

/// Pods that did not come up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Their image.
    pub image: String,
    /// Digest of what they were: with another image, or anything else about them changed, it is tried again.
    pub template: String,
}

/// A version of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The tag of the image.
    pub version: String,
    /// The image, whole.
    pub image: String,
}

/// Who says how many pods a process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replicas {
    /// The spec.
    Fixed(i32),
    /// The autoscaler: the field is left out of what is applied.
    Autoscaled,
    /// The autoscaler from now on: a second field manager holds the number until it takes over, since a field that its only
    /// manager drops would become 1. It is applied before the Deployment.
    HandOver(i32),
}

/// A Job for one service's database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPlan {
    /// Whose database.
    pub service: DatabaseService,
    /// What for.
    pub task: JobTask,
    /// The image that does it.
    pub release: Release,
    /// Digest of where the database is.
    pub database: Option<String>,
}

/// What a Job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobTask {
    /// Shows that the image runs, before a Deployment that can't go back is changed (SQLite).
    Preflight,
    /// `migrate up`; for user also the first admin.
    MigrateUp,
    /// `migrate contract`.
    MigrateContract,
}

impl JobTask {
    /// As in names and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::MigrateUp => "migrate",
            Self::MigrateContract => "contract",
        }
    }
}

/// The volume of a SQLite file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPlan {
    /// Whose file.
    pub service: DatabaseService,
    /// How large, as a quantity.
    pub storage: String,
    /// Its StorageClass, unless it is the cluster's default.
    pub storage_class: Option<String>,
}

/// The objects of a shop, in the order in which they are applied: what others need comes first. An object of these kinds that
/// belongs to the Shop and is not in here is deleted, but for:
/// claims, which outlive the Shop; Jobs, whose end [`crate::rollout::Decision::obsolete_jobs`] decides; Deployments, of which
/// there are always the same four; and the autoscaler and the Ingress that [`Self::untouched`] names.
///
/// Secrets and the ConfigMap of public keys are not built: they hold what is made once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Children {
    /// One for all pods, without a token.
    pub service_accounts: Vec<ServiceAccount>,
    /// The settings for a cold start.
    pub config_maps: Vec<ConfigMap>,
    /// Files of SQLite. They have no owner: they stay when the Shop goes.
    pub claims: Vec<PersistentVolumeClaim>,
    /// A headless one for each service, and the gateway's.
    pub services: Vec<Service>,
    /// Who may talk to whom.
    pub network_policies: Vec<NetworkPolicy>,
    /// Where there is more than one pod.
    pub disruption_budgets: Vec<PodDisruptionBudget>,
    /// Migrations and preflights. They are created where there is none of the name, and never changed.
    pub jobs: Vec<Job>,
    /// What the second field manager applies: the number of pods of a process that the autoscaler is about to take.
    pub hand_overs: Vec<(Component, i32)>,
    /// The processes.
    pub deployments: Vec<Deployment>,
    /// Of the processes that have one.
    pub autoscalers: Vec<HorizontalPodAutoscaler>,
    /// The way in.
    pub ingresses: Vec<Ingress>,
    /// Autoscalers and Ingresses that are not applied and not deleted either.
    pub untouched: Vec<(Kind, String)>,
}

/// Makes them.
pub fn build(shop: &Shop, blueprint: &Blueprint) -> Children {
    // Every field is named, so that a kind that is not built does not compile.
    Children {
        service_accounts: service_account::build(shop),
        config_maps: config_map::build(shop, &blueprint.settings),
        claims: claim::build(shop, &blueprint.claims),
        services: service::build(shop),
        network_policies: network_policy::build(shop, &blueprint.database_ports),
        disruption_budgets: disruption_budget::build(shop),
        jobs: job::build(shop, &blueprint.jobs),
        hand_overs: deployment::hand_overs(&blueprint.processes),
        deployments: deployment::build(shop, &blueprint.processes),
        autoscalers: autoscaler::build(shop, &blueprint.processes),
        ingresses: ingress::build(shop, blueprint.ingress),
        untouched: untouched(shop, blueprint),
    }
}

fn untouched(shop: &Shop, blueprint: &Blueprint) -> Vec<(Kind, String)> {
    let held = blueprint.processes.iter().filter(|(_, process)| process.is_none());
    let autoscalers = held.map(|(component, _)| (Kind::HorizontalPodAutoscaler, names::process(shop, component)));
    let ingress = (!blueprint.ingress).then(|| (Kind::Ingress, names::process(shop, Component::Gateway)));
    autoscalers.chain(ingress).collect()
}
