//! What was read of the world before anything is decided: objects of the cluster, Consul, an answer through the gateway.
//! Nothing here is remembered from one reconciliation to the next.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        batch::v1::Job,
        core::v1::{PersistentVolumeClaim, Pod},
    },
    jiff::Timestamp,
};

use crate::shop::{Component, Components, SecretKeyReference};

/// One Shop's part of the world. Objects are those whose controller is this Shop, by uid; claims are those with its labels,
/// since they outlive their Shop.
#[derive(Debug, Clone)]
pub struct Observed {
    /// When it was read.
    pub now: Timestamp,
    /// The Deployment of each process, if there is one.
    pub deployments: Components<Option<Deployment>>,
    /// The HorizontalPodAutoscaler of each process, if there is one.
    pub autoscalers: Components<Option<HorizontalPodAutoscaler>>,
    /// The document in the ConfigMap of settings, if there is one: the last that was good.
    pub settings: Option<String>,
    /// All pods of the shop: of processes, and of Jobs, whose termination messages say what came of them. They were read from
    /// the API server, and after [`Self::consul`]: a pod that registered in between must not look like one that is gone.
    pub pods: Vec<Pod>,
    /// Jobs of migrations and preflights, whatever version they are of.
    pub jobs: Vec<Job>,
    /// Volumes of SQLite files, whichever Shop of this name made them.
    pub claims: Vec<PersistentVolumeClaim>,
    /// What the spec refers to: the resourceVersion and uid of each Secret and whether the key is in it.
    pub references: BTreeMap<SecretKeyReference, Reference>,
    /// Names of images' pull secrets and of the certificate that are not there.
    pub missing_secrets: Vec<String>,
    /// Objects that this Shop wants to have and somebody else has: what is in the way, and whose it is.
    pub conflicts: Vec<Conflict>,
    /// Digest of what the pods read only when they start, by process: another one means that they have to be replaced.
    pub checksums: Components<String>,
    /// What Consul has of the shop.
    pub consul: Result<Registered, String>,
    /// Whether a request through the gateway's Service was answered as it should be; why not, otherwise. Asked only when
    /// every process is available.
    pub probe: Option<Result<(), String>>,
}

/// A key of a Secret that the spec names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// It is there. The digest is of its value.
    Found {
        /// Changes with the value, and does not tell it.
        digest: String,
        /// The port, if the value is a URL that names one.
        port: Option<u16>,
    },
    /// The Secret is there without that key.
    NoKey,
    /// There is no such Secret.
    NoSecret,
    /// It could not be read; that is not the same as gone.
    Unknown(String),
}

/// Something that two Shops want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What it is: `Deployment demo-user`, `the host shop.localhost`, `the volume demo-user-data`.
    pub what: String,
    /// Whose it is, in words.
    pub owner: String,
    /// The reason of the condition, CamelCase: `NameConflict`, `HostConflict`. `VolumeConflict` is decided from the claims.
    pub reason: &'static str,
    /// What can't be made because of it.
    pub scope: Scope,
}

/// What of a shop something is in the way of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All of it.
    Shop,
    /// One process.
    Process(Component),
    /// The way in.
    Ingress,
}

/// What Consul has of one shop.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registered {
    /// Passing instances of each process.
    pub passing: Components<i32>,
    /// Ids of all instances under the shop's node, and the service of each: pod uids.
    pub instances: BTreeMap<String, String>,
    /// Whether the settings there are those of the spec.
    pub settings_current: bool,
}
