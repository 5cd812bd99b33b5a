//! What a user may say of the gateway and the way to it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{Autoscaling, rule, schema};

/// The gateway: its pods, and how clients reach it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(rule::not_both("replicas", "autoscaling")).message(rule::REPLICAS_OR_AUTOSCALING))]
pub struct Gateway {
    /// Pods, unless `autoscaling` says how many; 1 if neither is given.
    #[schemars(range(min = 1, max = rule::MAX_REPLICAS))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Lets a HorizontalPodAutoscaler choose the number of pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// What a pod asks for and may use. What is left out: requests of 100m CPU and 64Mi of memory, and a limit of 256Mi of
    /// memory, or of what it asks for if that is more; CPU has no limit.
    #[schemars(schema_with = "schema::resources")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// An Ingress to it; without one it is reached through its Service, `<shop>-gateway`, on port 80.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// Networks of the proxies in front, whose `X-Forwarded-For` is believed: `10.0.0.0/8`. The ingress controller's, as a
    /// rule; none if not given.
    #[schemars(length(max = 32), inner(length(min = 1, max = 64)))]
    #[x_kube(validation = Rule::new("self.all(network, isCIDR(network))")
        .message("each must be a network such as 10.0.0.0/8, or 10.1.2.3/32 for one address"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<String>,
}

/// An Ingress to the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ingress {
    /// The host that clients use.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(rule::host())
        .message("must be a host name such as shop.example.com: lower case, without scheme, port or wildcard"))]
    pub host: String,
    /// The IngressClass; the cluster's default if not given.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
    /// The Secret (`kubernetes.io/tls`) with the certificate for the host; plain HTTP if not given.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_secret_name: Option<String>,
    /// Annotations of the Ingress, for its controller.
    #[schemars(schema_with = "schema::annotations")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}
