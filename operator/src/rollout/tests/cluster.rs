//! A cluster in memory: objects as the API has them, what users do to them, and reconciliations, whole and cut short.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        batch::v1::Job,
        core::v1::{PersistentVolumeClaim, Pod},
    },
    apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, Time},
    jiff::{SignedDuration, Timestamp},
};
use kube::ResourceExt as _;
use serde_json::json;

use crate::{
    build::{Children, build, container, digest, names},
    observed::{Conflict, Observed, Reference, Registered},
    rollout::{Decision, decide, pods},
    shop::{Component, Components, DatabaseService, Shop, ShopStatus},
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

    pub(super) fn uid(&mut self) -> String {
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
        let gone: Vec<_> =
            self.jobs.iter().filter(|job| job.name_any() == name).filter_map(kube::ResourceExt::uid).collect();
        self.jobs.retain(|job| job.name_any() != name);
        self.pods.retain(|pod| !pod.owner_references().iter().any(|owner| gone.contains(&owner.uid)));
    }

    pub(super) fn delete_deployment(&mut self, component: Component) {
        self.deployments[component] = None;
        for pod in self.pods.iter_mut().filter(|pod| is_of(pod, component)) {
            pod.metadata.deletion_timestamp.get_or_insert(Time(self.now + SignedDuration::from_secs(40)));
        }
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

fn component_of(deployment: &Deployment) -> Component {
    Component::ROLL_ORDER.into_iter().find(|it| it.name() == deployment.labels()[names::SERVICE_LABEL]).unwrap()
}

pub(super) fn is_process(pod: &Pod) -> bool {
    pods::component(pod).is_some()
}

pub(super) fn is_of(pod: &Pod, component: Component) -> bool {
    pods::component(pod) == Some(component)
}

pub(super) fn is_ready(pod: &Pod) -> bool {
    pods::containers(pod).any(|it| it.name == container::SERVE && it.ready)
}

pub(super) fn pod_version(pod: &Pod) -> i32 {
    major(&pod.annotations()[names::VERSION])
}

pub(super) fn major(version: &str) -> i32 {
    version.split('.').next().unwrap().parse().unwrap()
}
