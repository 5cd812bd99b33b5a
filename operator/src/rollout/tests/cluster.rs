//! A cluster in memory: objects as the API has them, and what the controllers, the kubelet and the databases would make of
//! them, a step at a time. It checks by itself what must never happen.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentCondition, DeploymentStatus},
        batch::v1::{Job, JobCondition, JobStatus},
        core::v1::{
            ContainerState, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, PersistentVolumeClaim,
            Pod, PodStatus, PodTemplateSpec,
        },
    },
    apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta, OwnerReference, Time},
    jiff::{SignedDuration, Timestamp},
};
use kube::ResourceExt;
use serde_json::json;

use crate::{
    build::{Children, build, container, digest, names},
    observed::{Conflict, Observed, Reference, Registered},
    rollout::{Decision, decide},
    shop::{Component, Components, DatabaseService, Engine, Shop, ShopStatus},
};

/// What an image does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Image {
    Good,
    /// It can't be pulled.
    Missing,
    /// The process ends as soon as it has started.
    Crashes,
    /// Its `migrate up` fails.
    MigrationFails,
    /// Its `migrate up` does not end.
    MigrationHangs,
    /// Its `migrate contract` fails.
    ContractFails,
}

/// Schema and compatible-from, as a database stores them. A binary of version N knows schema N, and needs it.
type Schema = Option<(i32, i32)>;

/// One Shop and what there is of it.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) shop: Shop,
    /// The Shop as it was after each change of its spec.
    pub(super) history: Vec<Shop>,
    pub(super) deployments: Components<Option<Deployment>>,
    pub(super) pods: Vec<Pod>,
    pub(super) jobs: Vec<Job>,
    pub(super) claims: Vec<PersistentVolumeClaim>,
    pub(super) schemas: BTreeMap<DatabaseService, Schema>,
    /// By major version; the others are good.
    pub(super) images: BTreeMap<i32, Image>,
    pub(super) references: BTreeMap<DatabaseService, Reference>,
    pub(super) conflicts: Vec<Conflict>,
    pub(super) consul: bool,
    pub(super) instances: BTreeMap<String, Component>,
    pub(super) settings_current: bool,
    pub(super) probe: Result<(), String>,
    pub(super) now: Timestamp,
    /// What was decided last.
    pub(super) decision: Option<Decision>,
    /// What was built last.
    pub(super) children: Option<Children>,
    made: u32,
}

impl Cluster {
    pub(super) fn new(shop: Shop) -> Self {
        Self {
            history: vec![shop.clone()],
            shop,
            deployments: Components::default(),
            pods: Vec::new(),
            jobs: Vec::new(),
            claims: Vec::new(),
            schemas: DatabaseService::ALL.map(|service| (service, None)).into(),
            images: BTreeMap::new(),
            references: DatabaseService::ALL.map(|service| (service, found("first"))).into(),
            conflicts: Vec::new(),
            consul: true,
            instances: BTreeMap::new(),
            settings_current: false,
            probe: Ok(()),
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            decision: None,
            children: None,
            made: 0,
        }
    }

    fn uid(&mut self) -> String {
        self.made += 1;
        format!("uid-{}", self.made)
    }

    /// Changes the spec, as a user would.
    pub(super) fn edit(&mut self, change: impl FnOnce(&mut Shop)) {
        change(&mut self.shop);
        let generation = self.shop.metadata.generation.unwrap();
        self.shop.metadata.generation = Some(generation + 1);
        self.history.push(self.shop.clone());
    }

    pub(super) fn upgrade(&mut self, version: &str) {
        self.edit(|shop| version.clone_into(&mut shop.spec.version));
    }

    pub(super) fn observe(&self, shop: &Shop) -> Observed {
        let mut references = BTreeMap::new();
        for service in DatabaseService::ALL {
            if let Some(reference) = shop.spec.database.url_of(service) {
                references.insert(reference.clone(), self.references[&service].clone());
            }
        }
        let is_ready = |component| self.ready(component) > 0;
        let registered = || Registered {
            passing: Components::from_fn(|component| {
                i32::try_from(self.instances.values().filter(|it| **it == component).count()).unwrap()
            }),
            instances: self.instances.iter().map(|(id, it)| (id.clone(), it.name().to_owned())).collect(),
            settings_current: self.settings_current,
        };
        Observed {
            now: self.now,
            deployments: self.deployments.clone(),
            autoscalers: Components::default(),
            settings: None,
            pods: self.pods.clone(),
            jobs: self.jobs.clone(),
            claims: self.claims.clone(),
            references,
            missing_secrets: Vec::new(),
            conflicts: self.conflicts.clone(),
            checksums: Components::from_fn(|component| {
                let reference = component.database().map(|service| format!("{:?}", self.references[&service]));
                digest(&[reference.unwrap_or_default()])
            }),
            consul: if self.consul { Ok(registered()) } else { Err("connection refused".to_owned()) },
            probe: Component::ROLL_ORDER.into_iter().all(is_ready).then(|| self.probe.clone()),
        }
    }

    /// One reconciliation.
    pub(super) fn reconcile(&mut self) {
        let shop = self.shop.clone();
        self.reconcile_with(&shop, usize::MAX);
    }

    /// One that has this Shop in its cache, and is killed after so many writes.
    pub(super) fn reconcile_with(&mut self, shop: &Shop, writes: usize) {
        let decision = decide(shop, &self.observe(shop));
        let mut left = writes;
        let mut may_write = || {
            let may = left > 0;
            left = left.saturating_sub(1);
            may
        };
        if let Some(blueprint) = &decision.blueprint {
            let children = build(shop, blueprint);
            for name in &decision.obsolete_jobs {
                if may_write() {
                    self.delete_job(name);
                }
            }
            for claim in &children.claims {
                let is_there = self.claims.iter().any(|it| it.name_any() == claim.name_any());
                if !is_there && may_write() {
                    self.claims.push(claim.clone());
                }
            }
            for job in &children.jobs {
                let is_there = self.jobs.iter().any(|it| it.name_any() == job.name_any());
                if !is_there && may_write() {
                    self.create_job(job.clone());
                }
            }
            for (component, replicas) in &children.hand_overs {
                if may_write() {
                    self.hand_over(*component, *replicas);
                }
            }
            for deployment in &children.deployments {
                if may_write() {
                    self.apply(deployment.clone());
                }
            }
            self.children = Some(children);
        }
        for id in &decision.dead_instances {
            if may_write() {
                let stays = |pod: &Pod| pod.uid().as_ref() == Some(id) && pod.metadata.deletion_timestamp.is_none();
                assert!(!self.pods.iter().any(stays), "a live instance is taken out");
                self.instances.remove(id);
            }
        }
        if decision.write_settings && may_write() {
            self.settings_current = true;
        }
        if may_write() {
            let generation = shop.metadata.generation;
            self.shop.status = Some(ShopStatus {
                observed_generation: generation,
                phase: Some(decision.phase),
                version: decision.version.clone(),
                conditions: decision.conditions.clone(),
                services: decision.services.clone(),
                ready_services: Some(decision.ready_services.clone()),
                ..ShopStatus::default()
            });
        }
        self.decision = Some(decision);
    }

    /// Server-side apply by the first field manager.
    fn apply(&mut self, mut wanted: Deployment) {
        let component = component_of(&wanted);
        let uid = self.uid();
        let slot = &mut self.deployments[component];
        let owns = wanted.spec.as_ref().unwrap().replicas.is_some();
        let Some(there) = slot else {
            wanted.metadata.uid = Some(uid);
            wanted.metadata.generation = Some(1);
            wanted.metadata.managed_fields = owns.then(|| vec![owner(names::FIELD_MANAGER)]);
            let spec = wanted.spec.as_mut().unwrap();
            spec.replicas = spec.replicas.or(Some(1));
            *slot = Some(wanted);
            return;
        };
        if there.metadata.deletion_timestamp.is_some() {
            return;
        }
        let before = there.spec.clone();
        let mut owners = there.metadata.managed_fields.clone().unwrap_or_default();
        owners.retain(|entry| entry.manager.as_deref() != Some(names::FIELD_MANAGER));
        let mut spec = wanted.spec.clone().unwrap();
        match spec.replicas {
            Some(replicas) => {
                if before.as_ref().unwrap().replicas != Some(replicas) {
                    owners.clear();
                }
                owners.push(owner(names::FIELD_MANAGER));
            }
            // What its only manager lets go of is defaulted.
            None if owners.is_empty() => spec.replicas = Some(1),
            None => spec.replicas = before.as_ref().unwrap().replicas,
        }
        if before.as_ref() != Some(&spec) {
            *there.metadata.generation.as_mut().unwrap() += 1;
        }
        there.spec = Some(spec);
        there.metadata.annotations = wanted.metadata.annotations;
        there.metadata.labels = wanted.metadata.labels;
        there.metadata.managed_fields = Some(owners);
    }

    fn hand_over(&mut self, component: Component, replicas: i32) {
        self.scale(component, replicas, names::REPLICAS_MANAGER, false);
    }

    /// What an autoscaler does.
    pub(super) fn autoscale(&mut self, component: Component, replicas: i32) {
        self.scale(component, replicas, "kube-controller-manager", true);
    }

    fn scale(&mut self, component: Component, replicas: i32, manager: &str, alone: bool) {
        let Some(there) = &mut self.deployments[component] else { return };
        let spec = there.spec.as_mut().unwrap();
        let changed = spec.replicas != Some(replicas);
        let owners = there.metadata.managed_fields.get_or_insert_default();
        if changed {
            spec.replicas = Some(replicas);
            *there.metadata.generation.as_mut().unwrap() += 1;
            owners.clear();
        }
        if changed || !alone {
            owners.push(owner(manager));
        }
    }

    fn create_job(&mut self, mut job: Job) {
        job.metadata.uid = Some(self.uid());
        job.metadata.creation_timestamp = Some(Time(self.now));
        self.jobs.push(job);
    }

    pub(super) fn delete_job(&mut self, name: &str) {
        let gone: Vec<_> = self.jobs.iter().filter(|job| job.name_any() == name).filter_map(ResourceExt::uid).collect();
        self.jobs.retain(|job| job.name_any() != name);
        self.pods.retain(|pod| !pod.owner_references().iter().any(|owner| gone.contains(&owner.uid)));
    }

    pub(super) fn delete_deployment(&mut self, component: Component) {
        self.deployments[component] = None;
        for pod in self.pods.iter_mut().filter(|pod| is_of(pod, component)) {
            pod.metadata.deletion_timestamp.get_or_insert(Time(self.now + SignedDuration::from_secs(40)));
        }
    }

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
            let ready = ready.filter_map(|pod| Some((pod.uid()?, super::super::pods::component(pod)?)));
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
        let component = super::super::pods::component(&pod).unwrap();
        let version = pod_version(&pod);
        let image = self.image(version);
        // What runs goes on; it looks at the schema when it starts.
        if is_ready(&pod) && image != Image::Crashes {
            return;
        }
        let restarts = super::super::pods::containers(&pod).map(|it| it.restart_count).max().unwrap_or(0);
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
        self.pods[index].status = Some(PodStatus {
            phase: Some("Running".to_owned()),
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

    /// Pods of a process that serve and stay.
    pub(super) fn ready(&self, component: Component) -> usize {
        let pods = self.pods.iter().filter(|pod| is_of(pod, component) && is_ready(pod));
        pods.filter(|pod| pod.metadata.deletion_timestamp.is_none()).count()
    }

    /// The versions that pods of a process serve.
    pub(super) fn serving(&self, component: Component) -> Vec<i32> {
        let pods = self.pods.iter().filter(|pod| is_of(pod, component) && is_ready(pod));
        pods.filter(|pod| pod.metadata.deletion_timestamp.is_none()).map(pod_version).collect()
    }

    /// The major version that a process was told to run, if it is there.
    pub(super) fn told(&self, component: Component) -> Option<i32> {
        let spec = self.deployments[component].as_ref()?.spec.as_ref()?;
        Some(major(&spec.template.metadata.as_ref()?.annotations.as_ref()?[names::VERSION]))
    }
}

enum Outcome {
    Running,
    Stuck,
    TooLate,
    Done(String),
    Failed(String),
}

pub(super) fn found(digest: &str) -> Reference {
    Reference::Found { digest: digest.to_owned(), port: None }
}

fn owner(manager: &str) -> ManagedFieldsEntry {
    ManagedFieldsEntry {
        manager: Some(manager.to_owned()),
        fields_v1: Some(FieldsV1(json!({"f:spec": {"f:replicas": {}}}))),
        ..ManagedFieldsEntry::default()
    }
}

/// What tells pods of one template from those of another: the operator's digest of it.
fn hash(deployment: &Deployment) -> String {
    deployment.annotations()[names::TEMPLATE].clone()
}

fn component_of(deployment: &Deployment) -> Component {
    Component::ROLL_ORDER.into_iter().find(|it| it.name() == deployment.labels()[names::SERVICE_LABEL]).unwrap()
}

fn is_process(pod: &Pod) -> bool {
    super::super::pods::component(pod).is_some()
}

fn is_of(pod: &Pod, component: Component) -> bool {
    super::super::pods::component(pod) == Some(component)
}

fn is_ready(pod: &Pod) -> bool {
    super::super::pods::containers(pod).any(|it| it.name == container::SERVE && it.ready)
}

pub(super) fn pod_version(pod: &Pod) -> i32 {
    major(&pod.annotations()[names::VERSION])
}

fn major(version: &str) -> i32 {
    version.split('.').next().unwrap().parse().unwrap()
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
