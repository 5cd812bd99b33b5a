//! A process as it is in the cluster.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentSpec, DeploymentStatus};
use kube::ResourceExt as _;

use crate::build::{Failure, Release, Replicas, container::SERVE, names};

/// What there is of a process.
#[derive(Debug)]
pub(super) enum State<'a> {
    /// No Deployment.
    Absent,
    /// A Deployment that is being deleted. Another can be made once it is gone.
    Leaving,
    /// A Deployment.
    There(Live<'a>),
}

/// A Deployment, read.
#[derive(Debug)]
pub(super) struct Live<'a> {
    deployment: &'a Deployment,
    /// What its pods run, or shall run.
    pub(super) release: Release,
}

impl<'a> State<'a> {
    pub(super) fn of(deployment: Option<&'a Deployment>) -> Self {
        match deployment {
            None => Self::Absent,
            Some(deployment) if deployment.metadata.deletion_timestamp.is_some() => Self::Leaving,
            Some(deployment) => Self::There(Live { deployment, release: release(deployment) }),
        }
    }

    pub(super) fn live(&self) -> Option<&Live<'a>> {
        match self {
            Self::There(live) => Some(live),
            Self::Absent | Self::Leaving => None,
        }
    }
}

fn release(deployment: &Deployment) -> Release {
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    let annotations = template.and_then(|template| template.metadata.as_ref()?.annotations.as_ref());
    let containers = template.and_then(|template| Some(&template.spec.as_ref()?.containers));
    let serving = containers.and_then(|all| all.iter().find(|container| container.name == SERVE));
    Release {
        version: annotations.and_then(|all| all.get(names::VERSION)).cloned().unwrap_or_default(),
        image: serving.and_then(|container| container.image.clone()).unwrap_or_default(),
    }
}

impl<'a> Live<'a> {
    fn annotation(&self, name: &str) -> Option<&'a str> {
        self.deployment.annotations().get(name).map(String::as_str)
    }

    /// Digest of the pods that the operator last asked for.
    pub(super) fn template(&self) -> Option<&'a str> {
        self.annotation(names::TEMPLATE)
    }

    /// Digest of the database that was migrated for it.
    pub(super) fn database(&self) -> Option<&'a str> {
        self.annotation(names::DATABASE)
    }

    /// The generation of the spec by which it was last written.
    pub(super) fn generation(&self) -> Option<i64> {
        self.annotation(names::GENERATION)?.parse().ok()
    }

    /// What ran before what is being tried.
    pub(super) fn previous(&self) -> Option<Release> {
        let image = self.annotation(names::PREVIOUS_IMAGE)?.to_owned();
        let version = self.annotation(names::PREVIOUS_VERSION)?.to_owned();
        Some(Release { version, image })
    }

    /// What was tried and taken back.
    pub(super) fn failure(&self) -> Option<Failure> {
        let image = self.annotation(names::FAILED_IMAGE)?.to_owned();
        let template = self.annotation(names::FAILED_TEMPLATE)?.to_owned();
        Some(Failure { image, template })
    }

    fn spec(&self) -> Option<&'a DeploymentSpec> {
        self.deployment.spec.as_ref()
    }

    fn status(&self) -> Option<&'a DeploymentStatus> {
        self.deployment.status.as_ref()
    }

    /// How many pods there should be.
    pub(super) fn replicas(&self) -> i32 {
        self.spec().and_then(|spec| spec.replicas).unwrap_or(1)
    }

    /// How many pods are ready, whatever they run.
    pub(super) fn ready(&self) -> i32 {
        self.status().and_then(|status| status.ready_replicas).unwrap_or(0)
    }

    /// Whether what the status says is about the spec that is there.
    fn is_current(&self) -> bool {
        let seen = self.status().and_then(|status| status.observed_generation);
        seen.is_some() && seen >= self.deployment.metadata.generation
    }

    /// Whether every pod is what it should be, there are as many as there should be, and all of them serve. An autoscaler
    /// wants more of them at any time: then it is enough that the least number serves.
    pub(super) fn is_settled(&self, replicas: Replicas, least: i32) -> bool {
        let Some(status) = self.status() else { return false };
        // What is zero is left out.
        let [all, updated, ready, available] =
            [status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas]
                .map(|count| count.unwrap_or(0));
        let enough = match replicas {
            Replicas::Fixed(wanted) => {
                self.replicas() == wanted && [all, ready, available].iter().all(|count| *count == wanted)
            }
            Replicas::Autoscaled | Replicas::HandOver(_) => ready.min(available) >= least.min(self.replicas()),
        };
        self.is_current() && updated == all && enough
    }

    /// Whether its pods have all been replaced at some time since it was last changed, although one may be missing now.
    pub(super) fn has_rolled_out(&self) -> bool {
        let progressing = self.condition("Progressing");
        self.is_current() && progressing.is_some_and(|it| it.reason.as_deref() == Some("NewReplicaSetAvailable"))
    }

    /// Why the cluster does not get on with it, if it says so.
    pub(super) fn complaint(&self) -> Option<(String, String)> {
        let refused = self.condition("ReplicaFailure").filter(|it| it.status == "True");
        let stuck = self.condition("Progressing").filter(|it| it.status == "False");
        let it = refused.or(stuck).filter(|_| self.is_current())?;
        Some((it.reason.clone()?, it.message.clone().unwrap_or_default()))
    }

    fn condition(&self, kind: &str) -> Option<&'a DeploymentCondition> {
        self.status()?.conditions.as_ref()?.iter().find(|it| it.type_ == kind)
    }

    /// Whether somebody other than the operator's first field manager says how many pods there are.
    pub(super) fn has_replicas_from_elsewhere(&self) -> bool {
        let fields = self.deployment.managed_fields().iter().filter(|entry| {
            let fields = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:spec"));
            fields.is_some_and(|fields| fields.get("f:replicas").is_some())
        });
        let mut managers = fields.map(|entry| entry.manager.as_deref()).peekable();
        managers.peek().is_some() && managers.all(|manager| manager != Some(names::FIELD_MANAGER))
    }
}
