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
/// The kubelet waits for five minutes at most before it starts a container again; the next end may be some way off.
const LONGEST_BACK_OFF: SignedDuration = SignedDuration::from_mins(10);
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

/// Since when it has been ready, if it is.
pub(super) fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let mut conditions = status(pod)?.conditions.iter().flatten();
    let ready = conditions.find(|it| it.type_ == "Ready" && it.status == "True")?;
    Some(ready.last_transition_time.as_ref()?.0)
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
    let terminated = |state: &'_ ContainerState| state.terminated.is_some();
    let now = container.state.as_ref().filter(|state| terminated(state));
    now.or(container.last_state.as_ref())?.terminated.as_ref()
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
    containers(pod).find_map(|container| stuck(container, now)).or_else(|| unschedulable(pod, now))
}

fn stuck(container: &ContainerStatus, now: Timestamp) -> Option<Trouble> {
    let state = container.state.as_ref();
    let waiting = state.and_then(|state| state.waiting.as_ref());
    let reason = waiting.and_then(|waiting| waiting.reason.as_deref()).filter(|reason| STUCK.contains(reason));
    // The kubelet shows two words in turn for as long as it can't have an image, and three for a process that does not stay:
    // that is one trouble, not many.
    let reason = match reason {
        Some("ErrImagePull") => "ImagePullBackOff",
        Some(reason) => reason,
        None if crashes(container, now) => "CrashLoopBackOff",
        None => return None,
    };
    let words = ended(container).filter(|ended| ended.exit_code != 0);
    let cause = || {
        let message = waiting.and_then(|waiting| waiting.message.as_deref()).unwrap_or_default();
        message.rsplit(PULL_CAUSE).next().unwrap_or_default().chars().take(MAX_WORDS).collect()
    };
    let words = words.map_or_else(cause, last_words);
    Some(Trouble { reason: reason.to_owned(), message: format!("container {}: {words}", container.name) })
}

/// Whether a container ended badly a while ago at most, was started again, and is not ready yet.
fn crashes(container: &ContainerStatus, now: Timestamp) -> bool {
    let Some(ended) = ended(container).filter(|ended| ended.exit_code != 0) else { return false };
    let recent = ended.finished_at.as_ref().is_none_or(|at| now.duration_since(at.0) < LONGEST_BACK_OFF);
    !container.ready && container.restart_count > 0 && recent
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(status: &serde_json::Value) -> Pod {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {}, "status": {"containerStatuses": [status]},
        }))
        .unwrap()
    }

    /// A condition must not turn with each of the kubelet's words.
    #[test]
    fn one_trouble_has_one_name() {
        let now = "2026-01-01T01:00:00Z".parse().unwrap();
        let ended = |at: &str| serde_json::json!({"terminated": {"exitCode": 1, "message": "first\nerror: no", "finishedAt": at}});
        let recently = ended("2026-01-01T00:55:00Z");
        let container = |state: serde_json::Value, last: &serde_json::Value, ready: bool| {
            serde_json::json!({
                "name": "serve", "image": "", "imageID": "", "ready": ready, "restartCount": 1, "state": state, "lastState": last,
            })
        };
        let waiting =
            |reason: &str, message: &str| serde_json::json!({"waiting": {"reason": reason, "message": message}});
        let running = serde_json::json!({"running": {}});
        let none = serde_json::json!({});
        for (status, told) in [
            (
                container(waiting("CrashLoopBackOff", "back-off 10s"), &recently, false),
                Some(("CrashLoopBackOff", "error: no")),
            ),
            (container(running.clone(), &recently, false), Some(("CrashLoopBackOff", "error: no"))),
            (container(recently.clone(), &recently, false), Some(("CrashLoopBackOff", "error: no"))),
            (container(running.clone(), &recently, true), None),
            (container(running.clone(), &ended("2026-01-01T00:49:00Z"), false), None),
            (container(running.clone(), &none, false), None),
            (container(waiting("ErrImagePull", "not found"), &none, false), Some(("ImagePullBackOff", "not found"))),
            (
                container(waiting("ImagePullBackOff", "Back-off pulling: ErrImagePull: not found"), &none, false),
                Some(("ImagePullBackOff", "not found")),
            ),
            (container(waiting("ContainerCreating", ""), &none, false), None),
        ] {
            let trouble = trouble(&pod(&status), now);
            let expected = told.map(|(reason, words)| Trouble {
                reason: reason.to_owned(),
                message: format!("container serve: {words}"),
            });
            assert_eq!(trouble, expected, "{status}");
        }
    }
}
