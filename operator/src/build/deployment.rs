//! The processes.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{PodSpec, PodTemplateSpec},
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};

use super::{Process, Replicas, container, digest::digest_of, names, pod};
use crate::shop::{Component, Components, Shop};

/// A pod must have been ready this long before the next one is replaced: one that falls over at its first request is found.
const MIN_READY_SECONDS: i32 = 2;
/// A roll-out that gets nowhere for this long is reported as failed. Nothing is taken back by that.
const PROGRESS_DEADLINE_SECONDS: i32 = 120;
/// ReplicaSets that are kept for `kubectl rollout history`; the spec is the way back.
const HISTORY: i32 = 2;

pub(super) fn build(shop: &Shop, processes: &Components<Option<Process>>) -> Vec<Deployment> {
    processes.iter().filter_map(|(component, process)| Some(deployment(shop, component, process.as_ref()?))).collect()
}

/// The numbers of pods that the second field manager holds.
pub(super) fn hand_overs(processes: &Components<Option<Process>>) -> Vec<(Component, i32)> {
    let held = |(component, process): (Component, &Option<Process>)| match process.as_ref()?.replicas {
        Replicas::HandOver(replicas) => Some((component, replicas)),
        Replicas::Fixed(_) | Replicas::Autoscaled => None,
    };
    processes.iter().filter_map(held).collect()
}

/// Digest of the pods that a process would have. While a Deployment carries the same one nothing of it is replaced.
pub fn template_digest(shop: &Shop, component: Component, process: &Process) -> String {
    digest_of(&template(shop, component, process))
}

fn deployment(shop: &Shop, component: Component, process: &Process) -> Deployment {
    let template = template(shop, component, process);
    let mut labels = names::process_labels(shop, component);
    labels.insert("app.kubernetes.io/version".to_owned(), names::label_value(&process.release.version));
    let mut metadata = names::metadata(shop, names::process(shop, component), labels);
    metadata.annotations = Some(annotations(shop, process, digest_of(&template)));
    Deployment {
        metadata,
        spec: Some(DeploymentSpec {
            replicas: match process.replicas {
                Replicas::Fixed(replicas) => Some(replicas),
                Replicas::Autoscaled | Replicas::HandOver(_) => None,
            },
            selector: names::select(names::process_selector(shop, component)),
            strategy: Some(strategy(shop, component)),
            min_ready_seconds: Some(MIN_READY_SECONDS),
            progress_deadline_seconds: Some(PROGRESS_DEADLINE_SECONDS),
            revision_history_limit: Some(HISTORY),
            template,
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

fn annotations(shop: &Shop, process: &Process, template: String) -> BTreeMap<String, String> {
    let (previous, failure) = (process.previous.as_ref(), process.failure.as_ref());
    [
        (names::TEMPLATE, Some(template)),
        (names::GENERATION, shop.metadata.generation.map(|generation| generation.to_string())),
        (names::DATABASE, process.database.clone()),
        (names::PREVIOUS_IMAGE, previous.map(|release| release.image.clone())),
        (names::PREVIOUS_VERSION, previous.map(|release| release.version.clone())),
        (names::FAILED_IMAGE, failure.map(|failure| failure.image.clone())),
        (names::FAILED_TEMPLATE, failure.map(|failure| failure.template.clone())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.to_owned(), value?)))
    .collect()
}

/// One pod more than there should be while they are replaced, and never one less. A file is one pod's: the old one goes
/// before the new one comes.
fn strategy(shop: &Shop, component: Component) -> DeploymentStrategy {
    if shop.spec.has_file(component) {
        return DeploymentStrategy { type_: Some("Recreate".to_owned()), rolling_update: None };
    }
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_unavailable: Some(IntOrString::Int(0)),
            max_surge: Some(IntOrString::Int(1)),
        }),
    }
}

fn template(shop: &Shop, component: Component, process: &Process) -> PodTemplateSpec {
    let mounted = pod::serving(shop, component);
    let release = &process.release;
    let mut labels = names::process_labels(shop, component);
    labels.insert("app.kubernetes.io/version".to_owned(), names::label_value(&release.version));
    let annotations = [
        (names::VERSION, release.version.as_str()),
        (names::CHECKSUM, &process.checksum),
        ("prometheus.io/scrape", "true"),
        ("prometheus.io/port", "9090"),
        ("prometheus.io/path", "/metrics"),
    ];
    let mut before = Vec::new();
    if let Some(service) = component.database().filter(|_| shop.spec.has_file(component)) {
        let own = pod::of_steps(&mounted);
        before.push(container::migrate_file(shop, service, release, &own));
        if component == Component::User {
            before.push(container::create_admin(shop, release, &own));
        }
    }
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some(annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            init_containers: (!before.is_empty()).then_some(before),
            containers: vec![container::serve(shop, component, release, &mounted)],
            volumes: Some(mounted.into_iter().map(|mounted| mounted.volume).collect()),
            topology_spread_constraints: Some(pod::spread(shop, component)),
            ..pod::base(shop)
        }),
    }
}
