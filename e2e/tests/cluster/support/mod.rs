//! What tests stand on.

mod client;
mod cluster;
mod evidence;
mod registry;
mod scene;
mod shops;
mod traffic;

pub(crate) use client::Client;
pub(crate) use cluster::{Cluster, OPERATOR_NAMESPACE, helm, kubectl, operator_install, project};
pub(crate) use scene::Scene;
pub(crate) use shops::{condition, message_of, postgres, smallest};
pub(crate) use traffic::{all_served, traffic};

use std::time::{Duration, Instant};

/// Longer than anything takes on a loaded machine with two cores.
pub(crate) const PATIENCE: Duration = Duration::from_mins(4);
/// How often it is looked at.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !so().await {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(INTERVAL).await;
    }
}
