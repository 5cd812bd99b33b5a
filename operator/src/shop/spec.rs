//! The resource itself.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{Database, Gateway, Image, SecretKeyReference, Services, Settings, ShopStatus, rule};

/// A shop: what is to run, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "shop-operator.io",
    version = "v1alpha1",
    kind = "Shop",
    namespaced,
    status = "ShopStatus",
    derive = "PartialEq",
    annotation("helm.sh/resource-policy", "keep"),
    shortname = "shp",
    category = "all",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Services", type_ = "string", json_path = ".status.readyServices"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new(rule::name()).message(rule::NAME),
    doc = "A commerce backend: three gRPC services and an HTTP gateway, their databases and their place in Consul."
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(rule::one_pod("user")).message(rule::ONE_POD).field_path(".services.user"),
    validation = Rule::new(rule::one_pod("product")).message(rule::ONE_POD).field_path(".services.product"),
    validation = Rule::new(rule::one_pod("order")).message(rule::ONE_POD).field_path(".services.order"),
)]
pub struct ShopSpec {
    /// The tag of every image. A change is an upgrade, or back to an earlier one a rollback.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')")
        .message("must be an image's tag, such as 0.1.0; a digest goes into spec.image.digests"))]
    pub version: String,
    /// Where images come from: `<registry>/<process>:<version>`, of `user`, `product`, `order` and `gateway`.
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
    #[schemars(length(min = 3, max = 3))]
    #[x_kube(
        validation = Rule::new(rule::currency()).message("must be an active ISO 4217 code, such as USD"),
        validation = Rule::new("self == oldSelf")
            .message("the currency can't change, since prices and orders are in it: make another Shop"),
    )]
    #[serde(default = "currency")]
    pub currency: String,
    /// What changes while the shop runs, without a restart.
    #[serde(default)]
    pub settings: Settings,
    /// Where traces go.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// Where orders' events go.
    #[serde(default)]
    pub events: Events,
    /// Leaves everything as it is while it is true, but for entries in Consul of pods that are gone, which are taken out;
    /// deletion is carried out all the same.
    #[serde(default)]
    pub paused: bool,
}

/// How Consul is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(rule::authority_needs_tls())
    .message("caSecretRef is only for an address with https://: change the address or remove it"))]
pub struct Consul {
    /// `http://` or `https://`, host and port.
    #[schemars(length(min = 8, max = 512))]
    #[x_kube(validation = Rule::new(rule::address())
        .message("must be http:// or https://, a host, and a port where it is not 80 or 443: http://consul-server:8500"))]
    pub address: String,
    /// ACL token of the operator, which may write the shop's node and settings, and read its services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_token_secret_ref: Option<SecretKeyReference>,
    /// ACL token of the shop's processes, which may write the shop's node and services, and read its settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_token_secret_ref: Option<SecretKeyReference>,
    /// Certificates (PEM) that Consul's own must descend from; the system's if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyReference>,
}

/// Where traces go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Telemetry {
    /// An OTLP/gRPC collector: `http://collector:4317`. No traces are sent if not given.
    #[schemars(length(min = 8, max = 512))]
    #[x_kube(validation = Rule::new(rule::address())
        .message("must be http:// or https://, a host and a port: http://collector:4317"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
}

/// Where orders' events go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Events {
    /// A URL to which each event is posted, signed with the key `event-secret` of the Secret `<shop>-secrets`:
    /// `https://sink.example/orders`. Events are kept for a week and sent nowhere if not given.
    #[schemars(length(min = 8, max = 1024))]
    #[x_kube(validation = Rule::new(rule::url())
        .message("must be http:// or https://, a host, and perhaps a port and a path: https://sink.example/orders"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
}

fn currency() -> String {
    "USD".to_owned()
}
