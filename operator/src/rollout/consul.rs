//! What Consul has of a shop against what there is.

use k8s_openapi::{
    api::core::v1::Pod,
    jiff::{SignedDuration, Timestamp},
};

use super::pods;
use crate::observed::Observed;

/// A pod that is still there after its time, and this much more, is on a node that does not answer.
const OVERDUE: SignedDuration = SignedDuration::from_secs(5);

/// Instances whose pods are gone or have ended. A pod on its way out still serves, and takes itself out.
pub(super) fn dead_instances(observed: &Observed) -> Vec<String> {
    let Ok(registered) = &observed.consul else { return Vec::new() };
    let is_alive = |id: &String| {
        let pod = observed.pods.iter().find(|pod| pod.metadata.uid.as_ref() == Some(id));
        pod.is_some_and(|pod| !pods::has_ended(pod) && !is_overdue(pod, observed.now))
    };
    registered.instances.keys().filter(|id| !is_alive(id)).cloned().collect()
}

/// The timestamp of a deletion is when the pod's time is up, not when it was asked to go.
fn is_overdue(pod: &Pod, now: Timestamp) -> bool {
    let until = pod.metadata.deletion_timestamp.as_ref();
    until.is_some_and(|until| now.duration_since(until.0) > OVERDUE)
}
