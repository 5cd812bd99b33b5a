//! What of a shop changes while it runs. The operator writes it to Consul, where the processes see it at once, and to a
//! ConfigMap, where they find it when Consul is away at their start.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::rule;

/// The settings; what is left out is as the processes have it by themselves. It is the document of
/// [`shop_types::settings`], with a schema.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// How much one client may ask of all gateways together; 50 requests a second and 100 at once if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Origins whose pages may call the gateway: `https://shop.example`, or `*` alone for any; none if not given.
    #[schemars(length(max = 100), inner(length(min = 1, max = 269)))]
    #[x_kube(
        validation = Rule::new("dyn(self) == null || size(self) <= 1 || !('*' in self)")
            .message("\"*\" allows every origin and must stand alone"),
        validation = Rule::new(rule::origins())
            .message("each must be an origin as browsers write it: https://shop.example or http://localhost:3000, no path"),
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors_origins: Option<Vec<String>>,
    /// How long an order may stay unpaid: a whole number and `ms`, `s`, `m` or `h`, at most a year (`8760h`); `15m` if not
    /// given.
    #[schemars(length(min = 2, max = 16))]
    #[x_kube(validation = Rule::new(rule::payment_timeout())
        .message("must be a whole number and a unit, such as 90s, 15m or 24h, more than 0 and at most a year"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_timeout: Option<String>,
    /// What is logged: a level (`off`, `error`, `warn`, `info`, `debug`, `trace`), or levels of parts as in
    /// `warn,shop_order=debug`; `info` if not given.
    #[schemars(length(min = 3, max = 1024))]
    #[x_kube(validation = Rule::new(rule::log_level())
        .message("must be a level (off error warn info debug trace), or levels of parts as in warn,shop_order=debug"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<String>,
    /// Share of traces that are recorded, from `"0"` to `"1"`; `"0.1"` if not given.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(validation = Rule::new(rule::ratio()).message("must be a number from 0 to 1 in quotes, such as \"0.1\""))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_sample_ratio: Option<String>,
    /// Whether the gateway answers every call with 503.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<bool>,
}

/// A token bucket for one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Requests a second that may go on for ever.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests_per_second: i32,
    /// Requests that may come at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub burst: i32,
}
