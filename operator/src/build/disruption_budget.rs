//! How many pods of a process a drain of nodes may take at once.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::names;
use crate::shop::{Component, Shop};

/// None where there may be a single pod: a budget would only keep its node from being drained.
pub(super) fn build(shop: &Shop) -> Vec<PodDisruptionBudget> {
    let several = |component: &Component| shop.spec.least_replicas(*component) > 1;
    Component::ROLL_ORDER.into_iter().filter(several).map(|component| budget(shop, component)).collect()
}

fn budget(shop: &Shop, component: Component) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: names::metadata(shop, names::process(shop, component), names::process_labels(shop, component)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(names::select(names::process_selector(shop, component))),
            // A pod that never became ready keeps no node from being drained.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
