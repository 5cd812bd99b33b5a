//! How a Shop names other objects of its namespace.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A key of a Secret in the Shop's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretKeyReference {
    /// The Secret's name.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// An object in the Shop's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocalReference {
    /// Its name.
    pub name: String,
}
