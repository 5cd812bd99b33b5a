//! What pods tell: which image they run, why they do not, and their last words.

use k8s_openapi::{
    api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus},
    jiff::{SignedDuration, Timestamp},
};
use kube::ResourceExt as _;

use crate::{
    build::{container::SERVE, names},
    shop::Component,
};

/// Reasons for which a container waits that do not pass by themselves, as a rule.
const STUCK: [&str; 9] = [
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
];
/// What stands between the kubelet's saying that it waits and why it had to.
const PULL_CAUSE: &str = "ErrImagePull: ";
/// A pod that has no node yet may only be young: volumes are made, nodes are started.
const UNSCHEDULABLE_AFTER: SignedDuration = SignedDuration::from_secs(10);
/// What one line of a condition should hold at most.
const MAX_WORDS: usize = 400;

/// Why a pod does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// CamelCase, as the cluster names it.
    pub(super) reason: String,
    /// In words.
    pub(super) message: String,
}

/// The process that a pod is, unless it is a Job's.
pub(super) fn component(pod: &Pod) -> Option<Component> {
    let labels = pod.labels();
    if labels.contains_key(names::TASK_LABEL) {
        return None;
    }
    let name = labels.get(names::SERVICE_LABEL)?;
    Component::ROLL_ORDER.into_iter().find(|component| component.name() == name)
}

/// The image that a pod of a process runs.
pub(super) fn image(pod: &Pod) -> Option<&str> {
    let containers = &pod.spec.as_ref()?.containers;
    containers.iter().find(|container| container.name == SERVE)?.image.as_deref()
}

/// Whether nothing of a pod runs any more, nor will.
pub(super) fn has_ended(pod: &Pod) -> bool {
    matches!(status(pod).and_then(|status| status.phase.as_deref()), Some("Succeeded" | "Failed"))
}

fn status(pod: &Pod) -> Option<&PodStatus> {
    pod.status.as_ref()
}

/// First those that run before the others.
pub(super) fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let lists = [
        status(pod).and_then(|status| status.init_container_statuses.as_deref()),
        status(pod).and_then(|status| status.container_statuses.as_deref()),
    ];
    lists.into_iter().flatten().flatten()
}

/// How a container ended, now or the last time.
pub(super) fn ended(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    let terminated =
        |state: &'_ Option<ContainerState>| -> bool { state.as_ref().is_some_and(|state| state.terminated.is_some()) };
    let state = if terminated(&container.state) { &container.state } else { &container.last_state };
    state.as_ref()?.terminated.as_ref()
}

/// The last words of a container that failed.
pub(super) fn last_words(ended: &ContainerStateTerminated) -> String {
    let said = ended.message.as_deref().unwrap_or_default().trim();
    let line = said.lines().next_back().unwrap_or_default().trim();
    if line.is_empty() {
        let reason = ended.reason.as_deref().unwrap_or("Error");
        return format!("{reason}, exit code {}", ended.exit_code);
    }
    line.chars().take(MAX_WORDS).collect()
}

/// Why a pod does not get ready, if it is more than a matter of moments.
pub(super) fn trouble(pod: &Pod, now: Timestamp) -> Option<Trouble> {
    let stuck = containers(pod).find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref().filter(|reason| STUCK.contains(reason))?;
        let words = ended(container).filter(|ended| ended.exit_code != 0).map(last_words);
        let words = words.unwrap_or_else(|| {
            let message = waiting.message.as_deref().unwrap_or_default();
            message.rsplit(PULL_CAUSE).next().unwrap_or_default().chars().take(MAX_WORDS).collect()
        });
        // The kubelet shows the two in turn for as long as it can't have the image: that is one trouble, not many.
        let reason = if reason == "ErrImagePull" { "ImagePullBackOff" } else { reason };
        Some(Trouble { reason: reason.to_owned(), message: format!("container {}: {words}", container.name) })
    });
    stuck.or_else(|| unschedulable(pod, now))
}

fn unschedulable(pod: &Pod, now: Timestamp) -> Option<Trouble> {
    let conditions = status(pod)?.conditions.as_ref()?;
    let scheduled = conditions.iter().find(|it| it.type_ == "PodScheduled" && it.status == "False")?;
    let made = pod.metadata.creation_timestamp.as_ref().map_or(now, |made| made.0);
    (now.duration_since(made) >= UNSCHEDULABLE_AFTER).then(|| Trouble {
        reason: scheduled.reason.clone().unwrap_or_else(|| "Unschedulable".to_owned()),
        message: scheduled.message.clone().unwrap_or_default(),
    })
}
