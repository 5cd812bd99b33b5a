//! The resource itself.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{Database, Gateway, Image, SecretKeyReference, Services, Settings, ShopStatus};

/// A shop: what is to run, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "shop-operator.io",
    version = "v1alpha1",
    kind = "Shop",
    namespaced,
    status = "ShopStatus",
    derive = "PartialEq",
    category = "shops",
    doc = "A commerce backend: three gRPC services and an HTTP gateway, their databases and their place in Consul."
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShopSpec {
    /// The tag of every image. A change is an upgrade, or back to an earlier one a rollback.
    pub version: String,
    /// Where images come from.
    #[serde(default)]
    pub image: Image,
    /// The Consul through which the processes find each other.
    pub consul: Consul,
    /// Where data is kept; the engine can't change.
    #[serde(default)]
    pub database: Database,
    /// The gateway.
    #[serde(default)]
    pub gateway: Gateway,
    /// The services behind it.
    #[serde(default)]
    pub services: Services,
    /// The one currency of the shop (ISO 4217). It can't change.
    #[serde(default = "currency")]
    pub currency: String,
    /// What changes while the shop runs, without a restart.
    #[serde(default)]
    pub settings: Settings,
    /// Where traces go.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// Leaves everything as it is while it is true; deletion is carried out all the same.
    #[serde(default)]
    pub paused: bool,
}

/// How Consul is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Consul {
    /// `http://` or `https://`, host and port.
    pub address: String,
    /// ACL token of the operator, which may write the shop's node, services and settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_token_secret_ref: Option<SecretKeyReference>,
    /// ACL token of the shop's processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_token_secret_ref: Option<SecretKeyReference>,
    /// Certificates (PEM) that Consul's own must descend from; the system's if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyReference>,
}

/// Where traces go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Telemetry {
    /// An OTLP/gRPC collector: `http://collector:4317`. No traces are sent if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
}

fn currency() -> String {
    "USD".to_owned()
}
