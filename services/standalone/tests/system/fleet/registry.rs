//! What the registry shows of a fleet.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use shop_testing_consul::Consul;

/// How often it is asked.
const INTERVAL: Duration = Duration::from_millis(50);

/// Waits until exactly these ports of a service pass, each registered once.
pub(super) async fn shows(consul: &Consul, service: &str, ports: &[u16], bound: Duration) {
    let wanted: HashSet<u16> = ports.iter().copied().collect();
    let begun = Instant::now();
    loop {
        let found = passing(consul, service).await;
        if found.len() == wanted.len() && found.iter().copied().collect::<HashSet<_>>() == wanted {
            return;
        }
        let short = begun.elapsed() < bound;
        assert!(short, "Consul shows {service} at {found:?} instead of {wanted:?} after {bound:?}");
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The ports of the passing instances of a service, one entry for each registration.
async fn passing(consul: &Consul, service: &str) -> Vec<u16> {
    let found = consul.get(&format!("/v1/health/service/shop-{service}?passing")).await.unwrap_or_default();
    let entries = found.as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| u16::try_from(entry["Service"]["Port"].as_u64().unwrap()).unwrap()).collect()
}
