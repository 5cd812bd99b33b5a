//! Which images the pods of a shop run.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Component, LocalReference, rule};

/// Where images come from: `<registry>/<process>:<version>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// What their names begin with.
    #[schemars(length(min = 1, max = 200))]
    #[x_kube(validation = Rule::new(rule::registry())
        .message("must be what images' names begin with, such as ghcr.io/example/shop: no scheme, no tag, no slash at the end"))]
    #[serde(default = "registry")]
    pub registry: String,
    /// When the nodes pull them.
    #[serde(default)]
    pub pull_policy: PullPolicy,
    /// Secrets (`kubernetes.io/dockerconfigjson`) for the registry.
    #[schemars(length(max = 16))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<LocalReference>,
    /// Digests, for those images that are to be pinned: `sha256:…`. They must belong to `version`.
    #[serde(default)]
    pub digests: Digests,
}

/// The digest of each image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Digests {
    /// Of user's.
    #[schemars(length(max = 71), regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Of product's.
    #[schemars(length(max = 71), regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Of order's.
    #[schemars(length(max = 71), regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// Of the gateway's.
    #[schemars(length(max = 71), regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
}

/// When a node pulls an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// Each time a pod starts.
    Always,
    /// When the node lacks it.
    #[default]
    IfNotPresent,
    /// Never: it must be there.
    Never,
}

impl PullPolicy {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

impl Image {
    /// The reference of a process's image at a version.
    pub fn of(&self, component: Component, version: &str) -> String {
        let digest = match component {
            Component::User => &self.digests.user,
            Component::Product => &self.digests.product,
            Component::Order => &self.digests.order,
            Component::Gateway => &self.digests.gateway,
        };
        let suffix = digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
        format!("{}/{}:{version}{suffix}", self.registry, component.name())
    }
}

impl Default for Image {
    fn default() -> Self {
        Self {
            registry: registry(),
            pull_policy: PullPolicy::default(),
            pull_secrets: Vec::new(),
            digests: Digests::default(),
        }
    }
}

fn registry() -> String {
    "ghcr.io/example/shop".to_owned()
}
