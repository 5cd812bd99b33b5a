//! Who says how many pods a process has.

use super::live::State;
use crate::{
    build::Replicas,
    shop::{Component, Shop},
};

/// The spec, or an autoscaler. An autoscaler takes the number that is there: first a second field manager holds it, so that
/// the first may let go of it, and whatever the autoscaler writes is then its own.
pub(super) fn of(shop: &Shop, component: Component, state: &State<'_>) -> Replicas {
    let least = shop.spec.least_replicas(component);
    if shop.spec.autoscaling(component).is_none() {
        return Replicas::Fixed(least);
    }
    match state.live() {
        // A Deployment that is made without a number has one pod.
        None => Replicas::Fixed(least),
        Some(live) if live.has_replicas_from_elsewhere() => Replicas::Autoscaled,
        // An autoscaler leaves a process without pods alone.
        Some(live) => Replicas::HandOver(live.replicas().max(least)),
    }
}
