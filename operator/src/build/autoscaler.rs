//! Autoscalers, for the processes that ask for one.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricSpec, MetricTarget,
    ResourceMetricSource,
};

use super::{Process, names};
use crate::shop::{Autoscaling, Component, Components, Shop};

/// With less idle capacity a burst is refused before the next pod is ready.
const TARGET_CPU_PER_CENT: i32 = 70;

/// None for a process whose Deployment is left alone.
pub(super) fn build(shop: &Shop, processes: &Components<Option<Process>>) -> Vec<HorizontalPodAutoscaler> {
    let applied = processes.iter().filter(|(_, process)| process.is_some());
    applied.filter_map(|(component, _)| Some(autoscaler(shop, component, shop.spec.autoscaling(component)?))).collect()
}

fn autoscaler(shop: &Shop, component: Component, wanted: &Autoscaling) -> HorizontalPodAutoscaler {
    let cpu = MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource {
            name: "cpu".to_owned(),
            target: MetricTarget {
                type_: "Utilization".to_owned(),
                average_utilization: Some(wanted.target_cpu_utilization_percentage.unwrap_or(TARGET_CPU_PER_CENT)),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    };
    HorizontalPodAutoscaler {
        metadata: names::metadata(shop, names::process(shop, component), names::process_labels(shop, component)),
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name: names::process(shop, component),
            },
            min_replicas: Some(wanted.min_replicas),
            max_replicas: wanted.max_replicas,
            metrics: Some(vec![cpu]),
            ..HorizontalPodAutoscalerSpec::default()
        }),
        ..HorizontalPodAutoscaler::default()
    }
}
