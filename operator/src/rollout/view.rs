//! One reconciliation's view of a Shop: the spec and the world, and the questions that are asked of both.

use std::collections::BTreeMap;

use super::{
    jobs::{Jobs, Report, Work, generation},
    live::State,
    pods,
    problems::{self, Problem},
    replicas,
    roll::is_newer,
};
use crate::{
    build::{JobPlan, JobTask, Process, Release, digest},
    observed::{Observed, Reference},
    shop::{Component, Components, DatabaseService, Engine, Shop},
};

/// Restarts after which a container that never served is given up: a failure that comes from without passes sooner.
const CRASHES: i32 = 3;
/// The same for a step before it, which depends on nothing but the file.
const STEP_FAILURES: i32 = 1;

/// Everything at once.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) shop: &'a Shop,
    pub(super) observed: &'a Observed,
    /// What the spec says each process shall run.
    pub(super) target: Components<Release>,
    /// What there is of each.
    pub(super) states: Components<State<'a>>,
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
    /// What came of each thing that can be done to a database; to name a Job its whole pod is built.
    works: BTreeMap<(DatabaseService, JobTask), Work>,
}

impl<'a> View<'a> {
    pub(super) fn new(shop: &'a Shop, observed: &'a Observed) -> Self {
        let version = &shop.spec.version;
        let mut view = Self {
            shop,
            observed,
            target: Components::from_fn(|component| Release {
                version: version.clone(),
                image: shop.spec.image.of(component, version),
            }),
            states: Components::from_fn(|component| State::of(observed.deployments[component].as_ref())),
            problems: problems::find(shop, observed),
            works: BTreeMap::new(),
        };
        let tasks: &[JobTask] = match shop.spec.database.engine {
            Engine::Sqlite => &[JobTask::Preflight],
            Engine::Postgres | Engine::Mysql => &[JobTask::MigrateUp, JobTask::MigrateContract],
        };
        for service in DatabaseService::ALL {
            for task in tasks {
                let work = view.jobs().work(&view.job(service, *task));
                view.works.insert((service, *task), work);
            }
        }
        view
    }

    /// What came of a step of the wanted version.
    pub(super) fn work(&self, service: DatabaseService, task: JobTask) -> &Work {
        self.works.get(&(service, task)).unwrap_or(&Work::Absent)
    }

    /// Whether the spec is older than what was already done: it was read from a cache that lags behind.
    pub(super) fn is_stale(&self) -> bool {
        let deployments = self.states.iter().filter_map(|(_, state)| state.live()?.generation());
        let jobs = self.observed.jobs.iter().filter_map(generation);
        deployments.chain(jobs).max() > self.shop.metadata.generation
    }

    pub(super) fn consul_answers(&self) -> bool {
        self.observed.consul.is_ok()
    }

    pub(super) fn is_blocked(&self, component: Component) -> bool {
        problems::blocks(&self.problems, component)
    }

    /// Whether a process is there with the image of the spec.
    pub(super) fn is_at_target(&self, component: Component) -> bool {
        self.states[component].live().is_some_and(|live| live.release.image == self.target[component].image)
    }

    /// Whether something that runs is newer than what is wanted.
    pub(super) fn is_rollback(&self) -> bool {
        self.outdated().any(|component| self.goes_back(component))
    }

    fn goes_back(&self, component: Component) -> bool {
        self.states[component].live().is_some_and(|live| is_newer(&live.release, &self.target[component]))
    }

    /// Processes that are there and run another image.
    pub(super) fn outdated(&self) -> impl Iterator<Item = Component> {
        let there = |component: &Component| self.states[*component].live().is_some() && !self.is_at_target(*component);
        Component::ROLL_ORDER.into_iter().filter(there)
    }

    /// What a process that is not there was before an upgrade that is not through: what the others still are. One with a
    /// database was that only if all of the shop was: in the middle of an installation its database may have no schema yet.
    pub(super) fn release_before(&self, component: Component) -> Option<Release> {
        let still: Vec<_> = self.outdated().filter_map(|other| self.states[other].live()).collect();
        let last = self.shop.status.as_ref().and_then(|status| status.version.as_ref());
        let version = still.iter().map(|live| &live.release.version).find(|version| Some(*version) == last);
        let any = still.first().map(|live| &live.release.version).filter(|_| component.database().is_none());
        let version = version.or(any)?;
        // A digest in the spec is that of another version's image.
        let mut image = self.shop.spec.image.clone();
        image.digests = crate::shop::Digests::default();
        Some(Release { version: version.clone(), image: image.of(component, version) })
    }

    /// A process of this release, as the spec wants it.
    pub(super) fn process(&self, component: Component, release: Release) -> Process {
        Process {
            release,
            replicas: replicas::of(self.shop, component, &self.states[component]),
            checksum: self.observed.checksums[component].clone(),
            database: component.database().and_then(|service| self.database(service)),
            previous: None,
            failure: None,
        }
    }

    /// Digest of where a service's database is, unless that is a file or can't be known.
    pub(super) fn database(&self, service: DatabaseService) -> Option<String> {
        let reference = self.shop.spec.database.url_of(service)?;
        match self.observed.references.get(reference)? {
            Reference::Found { digest: value, .. } => Some(digest(&[&reference.name, &reference.key, value])),
            Reference::NoKey | Reference::NoSecret | Reference::Unknown(_) => None,
        }
    }

    /// The Jobs of the shop.
    pub(super) fn jobs(&self) -> Jobs<'a> {
        Jobs { shop: self.shop, found: &self.observed.jobs, pods: &self.observed.pods, now: self.observed.now }
    }

    /// What comes before a service may run what is wanted.
    pub(super) fn before(&self, service: DatabaseService) -> JobPlan {
        let task = match self.shop.spec.database.engine {
            Engine::Sqlite => JobTask::Preflight,
            Engine::Postgres | Engine::Mysql => JobTask::MigrateUp,
        };
        self.job(service, task)
    }

    pub(super) fn job(&self, service: DatabaseService, task: JobTask) -> JobPlan {
        let release = self.target[service.component()].clone();
        JobPlan { service, task, release, database: self.database(service) }
    }

    /// Whether something has to come before a service may run what is wanted.
    pub(super) fn needs(&self, service: DatabaseService) -> bool {
        let component = service.component();
        match (&self.states[component], self.shop.spec.database.engine) {
            // It is made with the steps that a file needs.
            (State::Absent, Engine::Sqlite) | (State::Leaving, _) => false,
            (State::Absent, Engine::Postgres | Engine::Mysql) => true,
            (State::There(_), Engine::Sqlite) => !self.is_at_target(component),
            (State::There(live), Engine::Postgres | Engine::Mysql) => {
                let elsewhere = live.database() != self.database(service).as_deref();
                elsewhere || (!self.is_at_target(component) && !self.goes_back(component))
            }
        }
    }

    /// Whether a process may run what is wanted, as far as its own database goes.
    pub(super) fn is_migrated(&self, component: Component) -> bool {
        component.database().is_none_or(|service| {
            !self.needs(service) || matches!(self.work(service, self.before(service).task), Work::Done(_))
        })
    }

    /// The same for all databases.
    pub(super) fn are_migrated(&self) -> bool {
        DatabaseService::ALL.into_iter().all(|service| self.is_migrated(service.component()))
    }

    /// Whether pods of this release show that they will not come up.
    pub(super) fn has_failed(&self, component: Component, release: &Release) -> bool {
        let pods = self.pods(component).filter(|pod| pods::image(pod) == Some(&release.image));
        let mut containers = pods.flat_map(pods::containers);
        containers.any(|container| {
            let failed = pods::ended(container).is_some_and(|ended| ended.exit_code != 0);
            let bound = if container.name == crate::build::container::SERVE { CRASHES } else { STEP_FAILURES };
            failed && container.restart_count >= bound
        })
    }

    /// What pods of this release said when they failed.
    pub(super) fn last_words(&self, component: Component, release: &Release) -> Option<String> {
        let pods = self.pods(component).filter(|pod| pods::image(pod) == Some(&release.image));
        let mut ended = pods.flat_map(pods::containers).filter_map(|container| {
            let ended = pods::ended(container).filter(|ended| ended.exit_code != 0)?;
            Some(format!("{}: {}", container.name, pods::last_words(ended)))
        });
        ended.next()
    }

    /// The pods of a process that are there, whatever they run.
    pub(super) fn pods(&self, component: Component) -> impl Iterator<Item = &'a k8s_openapi::api::core::v1::Pod> {
        let pods = self.observed.pods.iter();
        pods.filter(move |pod| pods::component(pod) == Some(component) && !pods::has_ended(pod))
    }

    /// Whether a pod of another image is still there, be it on its way out.
    pub(super) fn has_older_pods(&self) -> bool {
        Component::ROLL_ORDER
            .into_iter()
            .any(|component| self.pods(component).any(|pod| pods::image(pod) != Some(&self.target[component].image)))
    }

    /// What the schema of a service is, as the last step that changed it said.
    pub(super) fn schema(&self, service: DatabaseService) -> Option<Report> {
        let told = [JobTask::MigrateContract, JobTask::MigrateUp].into_iter().find_map(|task| {
            match self.work(service, task) {
                Work::Done(report) => *report,
                _ => None,
            }
        });
        told.or_else(|| self.pods(service.component()).find_map(Report::read))
    }
}
