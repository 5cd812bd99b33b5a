//! The objects of a shop, from a blueprint. Pure, and compared with committed snapshots: what is not in here is not in the
//! cluster.

use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::Job,
    core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};

use crate::shop::{Component, Components, DatabaseService, Shop};

/// What was decided about the objects of a shop.
#[derive(Debug, Clone, PartialEq)]
pub struct Blueprint {
    /// What the pods of each process run. With `None` its Deployment and autoscaler are not applied: they are not made yet, or
    /// stay as they are.
    pub processes: Components<Option<Process>>,
    /// Jobs that there should be.
    pub jobs: Vec<JobPlan>,
}

/// The pods of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The tag of the image.
    pub version: String,
    /// The image, whole.
    pub image: String,
    /// How many there are, and who says so.
    pub replicas: Replicas,
    /// Digest of what they read only when they start.
    pub checksum: String,
}

/// Who says how many pods a process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replicas {
    /// The spec.
    Fixed(i32),
    /// The autoscaler: the field is left out of what is applied.
    Autoscaled,
    /// The autoscaler from now on: a second field manager holds the number until it takes over, since a field that its only
    /// manager drops would become 1.
    HandOver(i32),
}

/// A Job for one service's database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPlan {
    /// Whose database.
    pub service: DatabaseService,
    /// What for.
    pub task: JobTask,
    /// The image that does it, whole.
    pub image: String,
    /// Its tag.
    pub version: String,
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

/// The objects of a shop, in the order in which they are applied: what others need comes first. What is not in here any more
/// and still belongs to the Shop is deleted, but for claims, Secrets and Jobs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Children {
    /// One for all pods, without a token.
    pub service_accounts: Vec<ServiceAccount>,
    /// The settings for a cold start, and the public keys.
    pub config_maps: Vec<ConfigMap>,
    /// Files of SQLite. They have no owner: they stay when the Shop goes.
    pub claims: Vec<PersistentVolumeClaim>,
    /// A headless one for each service, and the gateway's.
    pub services: Vec<Service>,
    /// Who may talk to whom.
    pub network_policies: Vec<NetworkPolicy>,
    /// Where there is more than one pod.
    pub disruption_budgets: Vec<PodDisruptionBudget>,
    /// Migrations and preflights.
    pub jobs: Vec<Job>,
    /// The processes.
    pub deployments: Vec<Deployment>,
    /// Of the processes that have one.
    pub autoscalers: Vec<HorizontalPodAutoscaler>,
    /// The way in.
    pub ingresses: Vec<Ingress>,
    /// What the second field manager applies: the number of pods of a process that the autoscaler is about to take.
    pub hand_overs: Vec<(Component, i32)>,
}

/// Makes them.
pub fn build(_shop: &Shop, _blueprint: &Blueprint) -> Children {
    todo!()
}
