//! What the controllers, the kubelet and the databases make of the objects, a second at a time. It checks by itself what must
//! never happen: a process on a schema that it does not know, and a contract beside an older pod.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentCondition, DeploymentStatus},
        batch::v1::{Job, JobCondition, JobStatus},
        core::v1::{
            ContainerState, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod, PodCondition,
            PodStatus, PodTemplateSpec,
        },
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time},
    jiff::SignedDuration,
};
use kube::ResourceExt as _;

use super::cluster::{Cluster, Image, is_of, is_process, is_ready, major, pod_version};
use crate::{
    build::{container, names},
    rollout::pods,
    shop::{Component, DatabaseService, Engine},
};

enum Outcome {
    Running,
    Stuck,
    TooLate,
    Done(String),
    Failed(String),
}

impl Cluster {
    /// A second passes.
    pub(super) fn tick(&mut self) {
        self.now += SignedDuration::from_secs(1);
        self.pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        for component in Component::ROLL_ORDER {
            self.run_deployment(component);
        }
        self.run_jobs();
        for index in 0..self.pods.len() {
            self.run_pod(index);
        }
        if self.consul {
            let ready = self.pods.iter().filter(|pod| is_ready(pod) && pod.metadata.deletion_timestamp.is_none());
            let ready = ready.filter_map(|pod| Some((pod.uid()?, pods::component(pod)?)));
            self.instances.extend(ready.collect::<Vec<_>>());
        }
        for component in Component::ROLL_ORDER {
            self.report(component);
        }
    }

    fn run_deployment(&mut self, component: Component) {
        let Some(deployment) = self.deployments[component].clone() else { return };
        let spec = deployment.spec.as_ref().unwrap();
        let wanted = usize::try_from(spec.replicas.unwrap()).unwrap();
        let hash = hash(&deployment);
        let of = |pod: &&mut Pod| is_of(pod, component);
        let recreate = spec.strategy.as_ref().unwrap().type_.as_deref() == Some("Recreate");
        let is_old = |pod: &Pod| pod.annotations()["hash"] != hash;
        let staying = |pod: &&mut Pod| pod.metadata.deletion_timestamp.is_none();
        if recreate {
            let until = Time(self.now);
            let mut any = false;
            for pod in self.pods.iter_mut().filter(of).filter(|pod| is_old(pod)) {
                pod.metadata.deletion_timestamp = Some(until.clone());
                any = true;
            }
            if any {
                return;
            }
        }
        let ready = self.pods.iter_mut().filter(of).filter(staying).filter(|pod| is_ready(pod)).count();
        let mut spare = ready.saturating_sub(wanted);
        let until = Time(self.now);
        for pod in self.pods.iter_mut().filter(of).filter(staying).filter(|pod| is_old(pod)) {
            if !is_ready(pod) || spare > 0 {
                spare = spare.saturating_sub(usize::from(is_ready(pod)));
                pod.metadata.deletion_timestamp = Some(until.clone());
            }
        }
        let all = self.pods.iter_mut().filter(of).filter(staying).count();
        let new = self.pods.iter_mut().filter(of).filter(staying).filter(|pod| !is_old(pod)).count();
        if new < wanted && all <= wanted {
            let pod = self.pod(&spec.template, &hash, deployment.uid().unwrap());
            self.pods.push(pod);
        }
        let surplus = new.saturating_sub(wanted);
        for pod in self.pods.iter_mut().filter(of).filter(staying).filter(|pod| !is_old(pod)).take(surplus) {
            pod.metadata.deletion_timestamp = Some(until.clone());
        }
    }

    fn pod(&mut self, template: &PodTemplateSpec, hash: &str, owner: String) -> Pod {
        let mut metadata = template.metadata.clone().unwrap_or_default();
        metadata.annotations.get_or_insert_default().insert("hash".to_owned(), hash.to_owned());
        Pod {
            metadata: ObjectMeta {
                uid: Some(self.uid()),
                owner_references: Some(vec![OwnerReference { uid: owner, ..OwnerReference::default() }]),
                creation_timestamp: Some(Time(self.now)),
                ..metadata
            },
            spec: template.spec.clone(),
            status: None,
        }
    }

    fn run_jobs(&mut self) {
        for index in 0..self.jobs.len() {
            let job = self.jobs[index].clone();
            if job.status.is_some() || job.metadata.deletion_timestamp.is_some() {
                continue;
            }
            let uid = job.uid().unwrap();
            if !self.pods.iter().any(|pod| pod.owner_references().iter().any(|owner| owner.uid == uid)) {
                let pod = self.pod(&job.spec.as_ref().unwrap().template, "", uid.clone());
                self.pods.push(pod);
            }
            let since = self.now.duration_since(job.metadata.creation_timestamp.as_ref().unwrap().0);
            let deadline = job.spec.as_ref().unwrap().active_deadline_seconds.unwrap();
            let outcome = if since.as_secs() >= deadline { Outcome::TooLate } else { self.work(&job) };
            let position = self.pods.iter().position(|pod| pod.owner_references().iter().any(|it| it.uid == uid));
            let pod = &mut self.pods[position.unwrap()];
            let name = if job.labels()[names::TASK_LABEL] == "preflight" { "preflight" } else { container::MIGRATE };
            let (state, condition) = match outcome {
                Outcome::Running => (None, None),
                Outcome::Stuck => (Some(waiting("ImagePullBackOff", "not found")), None),
                Outcome::TooLate => (None, Some(("Failed", "DeadlineExceeded"))),
                Outcome::Done(message) => (Some(terminated(0, &message)), Some(("Complete", "Completed"))),
                Outcome::Failed(message) => (Some(terminated(1, &message)), Some(("Failed", "BackoffLimitExceeded"))),
            };
            pod.status = state.map(|state| PodStatus {
                container_statuses: Some(vec![status(name, state, 0)]),
                ..PodStatus::default()
            });
            self.jobs[index].status = condition.map(|(kind, reason)| JobStatus {
                conditions: Some(vec![JobCondition {
                    type_: kind.to_owned(),
                    status: "True".to_owned(),
                    reason: Some(reason.to_owned()),
                    last_transition_time: Some(Time(self.now)),
                    ..JobCondition::default()
                }]),
                ..JobStatus::default()
            });
        }
    }

    fn work(&mut self, job: &Job) -> Outcome {
        let service =
            DatabaseService::ALL.into_iter().find(|it| it.name() == job.labels()[names::SERVICE_LABEL]).unwrap();
        let version = major(&job.annotations()[names::VERSION]);
        let image = self.image(version);
        let task = job.labels()[names::TASK_LABEL].as_str();
        match (image, task) {
            (Image::Missing, _) => Outcome::Stuck,
            (_, "preflight") => Outcome::Done(String::new()),
            (Image::MigrationFails, "migrate") => Outcome::Failed("error: column is in use".to_owned()),
            (Image::MigrationHangs, "migrate") => Outcome::Running,
            (_, "migrate") => self.migrate(service, version),
            (Image::ContractFails, _) => Outcome::Failed("error: no".to_owned()),
            (_, "contract") => {
                let older = self.pods.iter().find(|pod| is_process(pod) && pod_version(pod) != version);
                assert!(older.is_none(), "contract of {version} while {older:?} is there");
                let (schema, from) = self.schemas[&service].unwrap();
                assert!(schema >= version, "contract before migrate up");
                self.schemas.insert(service, Some((schema, from.max(version))));
                Outcome::Done(report(schema, from.max(version)))
            }
            _ => unreachable!("{task}"),
        }
    }

    /// `migrate up`: it expands, or leaves alone what is further.
    fn migrate(&mut self, service: DatabaseService, version: i32) -> Outcome {
        let (schema, from) = match self.schemas[&service] {
            None => (version, version),
            Some((_, from)) if from > version => return Outcome::Failed("error: run a newer version".to_owned()),
            Some((schema, from)) => (schema.max(version), from),
        };
        self.schemas.insert(service, Some((schema, from)));
        Outcome::Done(report(schema, from))
    }

    fn image(&self, version: i32) -> Image {
        self.images.get(&version).copied().unwrap_or(Image::Good)
    }

    fn run_pod(&mut self, index: usize) {
        let pod = self.pods[index].clone();
        if !is_process(&pod) || pod.metadata.deletion_timestamp.is_some() {
            return;
        }
        let component = pods::component(&pod).unwrap();
        let version = pod_version(&pod);
        let image = self.image(version);
        // What runs goes on; it looks at the schema when it starts.
        if is_ready(&pod) && image != Image::Crashes {
            return;
        }
        let restarts = pods::containers(&pod).map(|it| it.restart_count).max().unwrap_or(0);
        let file = self.shop.spec.database.engine == Engine::Sqlite;
        let mut first = Vec::new();
        let mut serving = Vec::new();
        let crash = |name: &str, message: &str| {
            let mut crashed = status(name, waiting("CrashLoopBackOff", "back-off"), restarts + 1);
            crashed.last_state = Some(terminated(1, message));
            crashed
        };
        if image == Image::Missing {
            serving.push(status(container::SERVE, waiting("ImagePullBackOff", "not found"), 0));
        } else if let (true, Some(service)) = (file, component.database()) {
            let outcome = match image {
                Image::MigrationFails => Outcome::Failed("error: column is in use".to_owned()),
                Image::MigrationHangs => Outcome::Running,
                _ => self.migrate(service, version),
            };
            match outcome {
                Outcome::Done(message) => {
                    first.push(status(container::MIGRATE, terminated(0, &message), 0));
                    serving.push(self.serve(component, version, image, &crash));
                }
                Outcome::Failed(message) => first.push(crash(container::MIGRATE, &message)),
                Outcome::Running | Outcome::Stuck | Outcome::TooLate => {}
            }
        } else {
            serving.push(self.serve(component, version, image, &crash));
        }
        let ready = serving.iter().any(|it: &ContainerStatus| it.ready).then(|| PodCondition {
            type_: "Ready".to_owned(),
            status: "True".to_owned(),
            last_transition_time: Some(Time(self.now)),
            ..PodCondition::default()
        });
        self.pods[index].status = Some(PodStatus {
            phase: Some("Running".to_owned()),
            conditions: ready.map(|ready| vec![ready]),
            init_container_statuses: Some(first),
            container_statuses: Some(serving),
            ..PodStatus::default()
        });
    }

    fn serve(
        &self,
        component: Component,
        version: i32,
        image: Image,
        crash: &dyn Fn(&str, &str) -> ContainerStatus,
    ) -> ContainerStatus {
        if image == Image::Crashes {
            return crash(container::SERVE, "error: out of luck");
        }
        if let Some(service) = component.database() {
            let (schema, from) =
                self.schemas[&service].expect("a process starts on a database that was never migrated");
            assert!(schema >= version, "{} {version} starts on schema {schema}", service.name());
            if from > version {
                return crash(container::SERVE, "error: run a newer version");
            }
        }
        let mut running = status(container::SERVE, ContainerState::default(), 0);
        running.ready = true;
        running
    }

    fn report(&mut self, component: Component) {
        let Some(deployment) = &self.deployments[component] else { return };
        let hash = hash(deployment);
        let pods: Vec<_> = self.pods.iter().filter(|pod| is_of(pod, component)).collect();
        let pods: Vec<_> = pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
        let count = |test: &dyn Fn(&Pod) -> bool| {
            let count = i32::try_from(pods.iter().filter(|pod| test(pod)).count()).unwrap();
            // As the API does: what is zero is left out.
            (count > 0).then_some(count)
        };
        let ready = count(&is_ready);
        let updated = count(&|pod| pod.annotations()["hash"] == hash);
        let all = count(&|_| true);
        let done = ready == updated && updated == all && all == deployment.spec.as_ref().unwrap().replicas;
        let before = deployment.status.as_ref().and_then(|status| status.conditions.clone());
        let same =
            deployment.status.as_ref().and_then(|status| status.observed_generation) == deployment.metadata.generation;
        let reason = if done { "NewReplicaSetAvailable" } else { "ReplicaSetUpdated" };
        let conditions = before.filter(|_| same && !done).unwrap_or_else(|| {
            vec![DeploymentCondition {
                type_: "Progressing".to_owned(),
                status: "True".to_owned(),
                reason: Some(reason.to_owned()),
                ..DeploymentCondition::default()
            }]
        });
        let status = DeploymentStatus {
            observed_generation: deployment.metadata.generation,
            replicas: all,
            updated_replicas: updated,
            ready_replicas: ready,
            available_replicas: ready,
            conditions: Some(conditions),
            ..DeploymentStatus::default()
        };
        self.deployments[component].as_mut().unwrap().status = Some(status);
    }
}

/// What tells pods of one template from those of another: the operator's digest of it.
fn hash(deployment: &Deployment) -> String {
    deployment.annotations()[names::TEMPLATE].clone()
}

fn report(schema: i32, from: i32) -> String {
    format!("{{\"schema_version\":{schema},\"compatible_from\":{from}}}\n")
}

fn status(name: &str, state: ContainerState, restarts: i32) -> ContainerStatus {
    ContainerStatus { name: name.to_owned(), state: Some(state), restart_count: restarts, ..ContainerStatus::default() }
}

fn waiting(reason: &str, message: &str) -> ContainerState {
    let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message: Some(message.to_owned()) };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

fn terminated(exit_code: i32, message: &str) -> ContainerState {
    let terminated = ContainerStateTerminated {
        exit_code,
        message: Some(message.to_owned()),
        ..ContainerStateTerminated::default()
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}
