//! The settings of a shop that change while it runs: one JSON document, in Consul's KV store under
//! `shops/<namespace>/<shop>/config` and in a file for a cold start.
//!
//! Every member is optional; where one is absent, the process's own option holds. What is not known or out of bounds makes
//! the whole document invalid, so that half of a change never comes into force.

use std::{num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};

mod value;

pub use value::parse_origin;

/// More than any shop sets: the document is read by every process at each change.
pub const MAX_BYTES: usize = 64 * 1024;

/// The settings in force, or wanted.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// How much one client may ask of all gateways together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Origins whose pages may call the gateway: `https://shop.example`, or `*` alone for any. At most 100.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "value::origins")]
    pub cors_origins: Option<Vec<String>>,
    /// How long an order may stay unpaid: more than 0, at most a year.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "value::payment_timeout")]
    pub payment_timeout: Option<Duration>,
    /// What is logged: a level, or levels of parts as in `warn,shop_order=debug`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "value::log_level")]
    pub log_level: Option<String>,
    /// Share of traces that start here which are recorded, 0 to 1. Written as text, since Kubernetes resources have no
    /// fractions.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "value::ratio")]
    pub trace_sample_ratio: Option<f64>,
    /// Whether the gateway answers every call of the interface with 503.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<bool>,
}

/// A token bucket for one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// Requests a second that may go on for ever.
    #[serde(deserialize_with = "value::count::deserialize")]
    pub requests_per_second: NonZeroU32,
    /// Requests that may come at once.
    #[serde(deserialize_with = "value::count::deserialize")]
    pub burst: NonZeroU32,
}

/// A document that is no settings, in words that say where and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSettings(String);

impl Settings {
    /// Reads a document.
    pub fn parse(document: &[u8]) -> Result<Self, InvalidSettings> {
        if document.len() > MAX_BYTES {
            return Err(InvalidSettings(format!("the document is larger than {MAX_BYTES} bytes")));
        }
        // serde would take a list of the members as well.
        if document.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
            return Err(InvalidSettings("the document is no JSON object".to_owned()));
        }
        let mut reader = serde_json::Deserializer::from_slice(document);
        let settings = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            let inner = error.into_inner();
            // "." is the document itself.
            InvalidSettings(if path == "." { inner.to_string() } else { format!("{path}: {inner}") })
        })?;
        reader.end().map_err(|error| InvalidSettings(error.to_string()))?;
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{
        "rateLimit": {"requestsPerSecond": 50, "burst": 100},
        "corsOrigins": ["https://shop.example", "http://localhost:3000"],
        "paymentTimeout": "15m",
        "logLevel": "info,shop_order=debug",
        "traceSampleRatio": "0.1",
        "maintenance": false
    }"#;

    #[test]
    fn a_whole_document_is_read_and_written_back() {
        let settings = Settings::parse(WHOLE.as_bytes()).unwrap();
        let limit = settings.rate_limit.unwrap();
        assert_eq!((limit.requests_per_second.get(), limit.burst.get()), (50, 100));
        assert_eq!(settings.cors_origins.as_ref().unwrap().len(), 2);
        assert_eq!(settings.payment_timeout, Some(Duration::from_mins(15)));
        assert_eq!(settings.log_level.as_deref(), Some("info,shop_order=debug"));
        assert_eq!(settings.trace_sample_ratio, Some(0.1));
        assert_eq!(settings.maintenance, Some(false));
        let written: serde_json::Value = serde_json::to_value(&settings).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(WHOLE).unwrap());
    }

    #[test]
    fn what_is_absent_is_left_to_the_process() {
        assert_eq!(Settings::parse(b"{}"), Ok(Settings::default()));
        let nothing = br#"{"rateLimit": null, "corsOrigins": null, "logLevel": null, "maintenance": null}"#;
        assert_eq!(Settings::parse(nothing), Ok(Settings::default()));
        assert_eq!(serde_json::to_string(&Settings::default()).unwrap(), "{}");
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        for (document, told) in [
            ("", "EOF"),
            ("[]", "no JSON object"),
            ("{} {}", "trailing characters"),
            (r#"{"rateLimits": {}}"#, "rateLimits: unknown field"),
            (r#"{"maintenance": true, "maintenance": false}"#, "duplicate field"),
            (r#"{"maintenance": "yes"}"#, "maintenance: "),
            (r#"{"rateLimit": {"requestsPerSecond": 50}}"#, "rateLimit: missing field `burst`"),
            (r#"{"rateLimit": {"requestsPerSecond": 0, "burst": 1}}"#, "rateLimit.requestsPerSecond: "),
            (r#"{"rateLimit": {"requestsPerSecond": 1, "burst": 1000001}}"#, "rateLimit.burst: "),
            (r#"{"corsOrigins": ["https://shop.example/"]}"#, "corsOrigins: "),
            (r#"{"corsOrigins": ["shop.example"]}"#, "https://shop.example"),
            (r#"{"corsOrigins": ["*", "https://shop.example"]}"#, "alone"),
            (r#"{"paymentTimeout": "0s"}"#, "paymentTimeout: "),
            (r#"{"paymentTimeout": "8761h"}"#, "a year"),
            (r#"{"paymentTimeout": 900}"#, "paymentTimeout: "),
            (r#"{"logLevel": "loud"}"#, "logLevel: "),
            (r#"{"logLevel": ""}"#, "logLevel: "),
            (r#"{"traceSampleRatio": 0.1}"#, "traceSampleRatio: "),
            (r#"{"traceSampleRatio": "1.1"}"#, "0 to 1"),
            (r#"{"traceSampleRatio": "NaN"}"#, "0 to 1"),
        ] {
            let error = Settings::parse(document.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(told), "{document}: {error}");
        }
        assert!(Settings::parse(&vec![b' '; MAX_BYTES + 1]).is_err());
    }
}
