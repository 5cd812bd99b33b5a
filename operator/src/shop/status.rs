//! What the operator says of a Shop.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator last saw and did.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShopStatus {
    /// The generation of the spec that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// In one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The version that every process runs; the one before while an upgrade goes on, and none until the first has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where clients reach the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `4/4`: processes that are as they should be, of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_services: Option<String>,
    /// In detail.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    #[schemars(length(max = 16))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Each process.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    #[schemars(length(max = 16))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceStatus>,
}

/// How a process is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// `user`, `product`, `order` or `gateway`.
    pub name: String,
    /// Pods that are ready.
    pub ready: i32,
    /// Pods that there should be.
    pub desired: i32,
    /// Instances in Consul that are passing; absent while Consul does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<i32>,
    /// The version of its pods, of the older ones while they are replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The schema of its database, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<i32>,
}

/// A Shop in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// It can't go on: something that it needs is not there, or its spec is wrong.
    Pending,
    /// Databases are migrated.
    Migrating,
    /// Pods are replaced.
    RollingOut,
    /// All is as the spec says, and a request through the gateway was answered.
    Ready,
    /// It was ready; something of it is not.
    Degraded,
    /// It is left as it is.
    Paused,
    /// It goes.
    Deleting,
}

/// What conditions are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConditionType {
    /// All is as the spec says, and a request through the gateway was answered.
    Ready,
    /// The operator is changing something.
    Progressing,
    /// Something is not as it should be.
    Degraded,
    /// Each database has the schema of the version.
    DatabaseMigrated,
    /// Settings are in Consul, and what it has of the shop is right.
    ConsulSynced,
}

impl ConditionType {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 5] =
        [Self::Ready, Self::Progressing, Self::Degraded, Self::DatabaseMigrated, Self::ConsulSynced];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Progressing => "Progressing",
            Self::Degraded => "Degraded",
            Self::DatabaseMigrated => "DatabaseMigrated",
            Self::ConsulSynced => "ConsulSynced",
        }
    }
}
