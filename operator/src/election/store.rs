//! The Lease in the cluster: read, and written only if it still is what was read.

use std::{future::Future, time::Duration};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams};

use crate::cluster::FIELD_MANAGER;

/// What the election needs to know of a Lease. Its times are for people: nobody's clock is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRecord {
    /// Who has it.
    pub holder: Option<String>,
    /// For how long, each time.
    pub duration: Duration,
    /// How often it went from one to another.
    pub transitions: i32,
}

/// A Lease as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// What it says.
    pub record: LeaseRecord,
    /// Its resourceVersion.
    pub version: String,
}

/// Why a Lease was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum Taken {
    /// It is not any more what was read.
    #[error("somebody else wrote the lease")]
    Conflict,
    /// The way to it.
    #[error("the lease can't be read or written")]
    Api(#[source] Box<kube::Error>),
}

/// Where the Lease is kept.
pub trait LeaseStore: Send + Sync {
    /// The Lease; `None` if there is none.
    fn read(&self) -> impl Future<Output = Result<Option<Versioned>, Taken>> + Send;

    /// Writes it if it still is of this version; without one, if there is none.
    fn write(
        &self,
        version: Option<&str>,
        record: &LeaseRecord,
    ) -> impl Future<Output = Result<Versioned, Taken>> + Send;
}

/// A Lease of the cluster.
#[derive(Clone)]
pub struct ApiLeases {
    api: Api<Lease>,
    name: String,
}

impl std::fmt::Debug for ApiLeases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiLeases").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ApiLeases {
    /// The Lease of this name.
    pub fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), name: name.to_owned() }
    }
}

impl LeaseStore for ApiLeases {
    async fn read(&self) -> Result<Option<Versioned>, Taken> {
        Ok(self.api.get_opt(&self.name).await.map_err(fault)?.map(versioned))
    }

    async fn write(&self, version: Option<&str>, record: &LeaseRecord) -> Result<Versioned, Taken> {
        let now = MicroTime(Timestamp::now());
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                resource_version: version.map(str::to_owned),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(record.holder.clone().unwrap_or_default()),
                lease_duration_seconds: i32::try_from(record.duration.as_secs()).ok(),
                lease_transitions: Some(record.transitions),
                renew_time: Some(now.clone()),
                acquire_time: Some(now),
                ..LeaseSpec::default()
            }),
        };
        let params = PostParams { dry_run: false, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let written = match version {
            Some(_) => self.api.replace(&self.name, &params, &lease).await,
            None => self.api.create(&params, &lease).await,
        };
        written.map(versioned).map_err(fault)
    }
}

fn versioned(lease: Lease) -> Versioned {
    let spec = lease.spec.unwrap_or_default();
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default();
    Versioned {
        record: LeaseRecord {
            holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
            duration: Duration::from_secs(seconds),
            transitions: spec.lease_transitions.unwrap_or_default(),
        },
        version: lease.metadata.resource_version.unwrap_or_default(),
    }
}

fn fault(error: kube::Error) -> Taken {
    match error {
        kube::Error::Api(status) if status.code == 409 || status.code == 404 => Taken::Conflict,
        error => Taken::Api(Box::new(error)),
    }
}
