//! What the gateway allows at the moment: its options, the shop's settings over them, and how many gateways there are.

use std::sync::Arc;

use http::HeaderValue;
use shop_discovery::Instance;
use shop_server::Shutdown;
use shop_types::settings::Settings;
use tokio::sync::watch;

use super::{cors::Cors, rates::Rate};
use crate::EdgeOptions;

/// Names of the buckets in `RateLimit` and `RateLimit-Policy`.
pub(super) const GENERAL: &str = "requests";
pub(super) const SIGN_IN: &str = "sign-in";

/// What holds for the next request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// For every request of a client.
    pub(crate) general: Limit,
    /// For attempts to sign in from one address, besides.
    pub(crate) sign_in: Limit,
    /// The pages that may call.
    pub(crate) cors: Cors,
    /// Whether the interface is closed.
    pub(crate) maintenance: bool,
}

/// A rate, and how it is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) rate: Rate,
    /// The value of `RateLimit-Policy` where it holds.
    pub(crate) told: HeaderValue,
}

impl Policy {
    /// The settings hold before the options, and the rates are for so many gateways together.
    pub(crate) fn new(options: &EdgeOptions, settings: &Settings, gateways: usize) -> Self {
        let general = match settings.rate_limit {
            Some(limit) => Rate::shared(limit.requests_per_second, limit.burst, gateways),
            None => Rate::shared(options.rate_limit, options.rate_burst, gateways),
        };
        let sign_in = Rate::shared(options.sign_in_rate_limit, options.sign_in_rate_burst, gateways);
        let general_told = told(GENERAL, general);
        let sign_in_told = format!("{general_told}, {}", told(SIGN_IN, sign_in));
        Self {
            general: Limit { rate: general, told: header(&general_told) },
            sign_in: Limit { rate: sign_in, told: header(&sign_in_told) },
            cors: Cors::new(settings.cors_origins.as_ref().unwrap_or(&options.cors_origins)),
            maintenance: settings.maintenance.unwrap_or(options.maintenance),
        }
    }

    /// The policy, kept up to date until draining starts.
    pub(crate) fn follow(
        options: EdgeOptions,
        mut settings: watch::Receiver<Arc<Settings>>,
        mut gateways: watch::Receiver<Arc<[Instance]>>,
        shutdown: &Shutdown,
    ) -> watch::Receiver<Arc<Self>> {
        let derive = move |settings: &mut watch::Receiver<Arc<Settings>>,
                           gateways: &mut watch::Receiver<Arc<[Instance]>>| {
            let gateways = gateways.borrow_and_update().len();
            Arc::new(Self::new(&options, &settings.borrow_and_update(), gateways))
        };
        let (sender, policy) = watch::channel(derive(&mut settings, &mut gateways));
        let draining = shutdown.token();
        shutdown.spawn("settings of the edge", async move {
            // A source that ends, as that of given addresses does, goes on holding; the other one still counts.
            let (mut settings_change, mut gateways_change) = (true, true);
            loop {
                tokio::select! {
                    () = draining.cancelled() => return,
                    changed = settings.changed(), if settings_change => settings_change = changed.is_ok(),
                    changed = gateways.changed(), if gateways_change => gateways_change = changed.is_ok(),
                }
                let policy = derive(&mut settings, &mut gateways);
                let changed = sender.send_if_modified(|held| {
                    let changed = *held != policy;
                    *held = policy;
                    changed
                });
                if changed {
                    tracing::info!("the limits, origins or maintenance of the gateway changed");
                }
            }
        });
        policy
    }
}

/// As in `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10): so many requests in so many seconds.
fn told(name: &str, rate: Rate) -> String {
    let window = rate.window();
    let seconds = window.as_secs() + u64::from(window.subsec_nanos() > 0);
    format!("\"{name}\";q={};w={}", rate.burst(), seconds.max(1))
}

fn header(told: &str) -> HeaderValue {
    // Names of ours and digits are a valid value.
    HeaderValue::try_from(told).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_hold_before_options_and_what_they_leave_out_does_not() {
        let options = EdgeOptions::default();
        let policy = Policy::new(&options, &Settings::default(), 1);
        assert_eq!(policy.general.told, r#""requests";q=100;w=2"#);
        assert_eq!(policy.sign_in.told, r#""requests";q=100;w=2, "sign-in";q=20;w=4"#);
        assert!(!policy.maintenance);
        let settings = br#"{"rateLimit": {"requestsPerSecond": 10, "burst": 30}, "maintenance": true}"#;
        let policy = Policy::new(&options, &Settings::parse(settings).unwrap(), 3);
        assert_eq!(policy.general.told, r#""requests";q=10;w=3"#);
        assert_eq!(policy.sign_in.told, r#""requests";q=10;w=3, "sign-in";q=6;w=4"#);
        assert!(policy.maintenance);
        let options = EdgeOptions { maintenance: true, ..options };
        let policy = Policy::new(&options, &Settings::parse(br#"{"maintenance": false}"#).unwrap(), 1);
        assert!(!policy.maintenance);
    }
}
