//! Walks at random through what users, nodes and the world do to a shop. Whatever happens, the cluster's own checks hold (no
//! process on a schema that it does not know, no contract beside an older pod); and once the faults have stopped, it gets
//! Ready with nobody's help.

use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt as _;
use proptest::prelude::*;

use super::cluster::{Cluster, Image, found};
use crate::{
    fixtures,
    observed::Reference,
    shop::{Component, DatabaseService, Engine, Shop},
};

/// How often, unless told by `PROPTEST_CASES`.
const WALKS: u32 = 32;
/// Within so many seconds it is Ready again: three roll-outs with their migrations.
const RECOVERY: usize = 400;
/// The highest version that walks ask for.
const LAST: i32 = 3;

/// Something that happens.
#[derive(Debug, Clone)]
enum Event {
    Version(i32),
    Image(i32, Image),
    Replicas(Component, i32),
    Resources(Component, bool),
    Pause(bool),
    KillPod(prop::sample::Index),
    DeleteDeployment(Component),
    DeleteJob(prop::sample::Index),
    Consul(bool),
    Reference(DatabaseService, Option<&'static str>),
    Autoscaled(Component, i32),
    /// A reconciliation that is killed after so many writes.
    Killed(usize),
    /// One that has an older spec in its cache.
    Stale(prop::sample::Index),
    Reconcile,
    Ticks(usize),
    Later,
}

fn component() -> impl Strategy<Value = Component> {
    prop::sample::select(Component::ROLL_ORDER.to_vec())
}

fn event() -> impl Strategy<Value = Event> {
    let images = vec![
        Image::Good,
        Image::Missing,
        Image::Crashes,
        Image::MigrationFails,
        Image::MigrationHangs,
        Image::ContractFails,
    ];
    let references = vec![None, Some("first"), Some("second")];
    prop_oneof![
        3 => (1..=LAST).prop_map(Event::Version),
        2 => (1..=LAST, prop::sample::select(images)).prop_map(|(version, image)| Event::Image(version, image)),
        1 => (component(), 1..4_i32).prop_map(|(component, replicas)| Event::Replicas(component, replicas)),
        1 => (component(), any::<bool>()).prop_map(|(component, more)| Event::Resources(component, more)),
        1 => any::<bool>().prop_map(Event::Pause),
        2 => any::<prop::sample::Index>().prop_map(Event::KillPod),
        1 => component().prop_map(Event::DeleteDeployment),
        1 => any::<prop::sample::Index>().prop_map(Event::DeleteJob),
        2 => any::<bool>().prop_map(Event::Consul),
        1 => (prop::sample::select(DatabaseService::ALL.to_vec()), prop::sample::select(references))
            .prop_map(|(service, digest)| Event::Reference(service, digest)),
        1 => (component(), 1..6_i32).prop_map(|(component, replicas)| Event::Autoscaled(component, replicas)),
        3 => (0..12_usize).prop_map(Event::Killed),
        2 => any::<prop::sample::Index>().prop_map(Event::Stale),
        8 => Just(Event::Reconcile),
        8 => (1..12_usize).prop_map(Event::Ticks),
        1 => Just(Event::Later),
    ]
}

impl Cluster {
    fn happen(&mut self, event: &Event) {
        match event {
            Event::Version(version) => self.upgrade(&format!("{version}.0.0")),
            Event::Image(version, image) => drop(self.images.insert(*version, *image)),
            Event::Replicas(component, replicas) => self.edit(|shop| set_replicas(shop, *component, *replicas)),
            Event::Resources(component, more) => {
                let resources = fixtures::production().spec.services.user.resources.filter(|_| *more);
                self.edit(|shop| match component {
                    Component::User => shop.spec.services.user.resources = resources,
                    Component::Product => shop.spec.services.product.resources = resources,
                    Component::Order => shop.spec.services.order.resources = resources,
                    Component::Gateway => shop.spec.gateway.resources = resources,
                });
            }
            Event::Pause(paused) => self.edit(|shop| shop.spec.paused = *paused),
            Event::KillPod(index) if !self.pods.is_empty() => {
                let index = index.index(self.pods.len());
                drop(self.pods.remove(index));
            }
            Event::DeleteDeployment(component) => self.delete_deployment(*component),
            Event::DeleteJob(index) if !self.jobs.is_empty() => {
                let name = self.jobs[index.index(self.jobs.len())].name_any();
                self.delete_job(&name);
            }
            Event::Consul(answers) => self.consul = *answers,
            Event::Reference(service, digest) => {
                drop(self.references.insert(*service, digest.map_or(Reference::NoSecret, found)));
            }
            Event::Autoscaled(component, replicas) if self.shop.spec.autoscaling(*component).is_some() => {
                self.autoscale(*component, *replicas);
            }
            Event::Killed(writes) => {
                let shop = self.shop.clone();
                self.reconcile_with(&shop, *writes);
            }
            Event::Stale(index) => {
                let stale = self.history[index.index(self.history.len())].clone();
                let status = self.shop.status.clone();
                self.reconcile_with(&stale, usize::MAX);
                self.shop.status = status;
            }
            Event::Reconcile => self.reconcile(),
            Event::Ticks(seconds) => (0..*seconds).for_each(|_| self.tick()),
            Event::Later => self.now += SignedDuration::from_mins(11),
            Event::KillPod(_) | Event::DeleteJob(_) | Event::Autoscaled(..) => {}
        }
    }

    /// The faults stop, and a version is asked for that works.
    fn heal(&mut self) {
        self.images.clear();
        self.consul = true;
        for service in DatabaseService::ALL {
            self.references.insert(service, found("first"));
        }
        self.edit(|shop| {
            shop.spec.paused = false;
            shop.spec.version = format!("{}.0.0", LAST + 1);
        });
        for _ in 0..RECOVERY {
            self.reconcile();
            if self.is_ready() {
                return;
            }
            self.tick();
        }
        let decision = self.decision.as_ref().unwrap();
        panic!("not Ready again: {:?} {:#?} told {:?}", decision.phase, decision.conditions, self.told_all());
    }
}

fn set_replicas(shop: &mut Shop, component: Component, replicas: i32) {
    let autoscaled = replicas == 3 && shop.spec.database.engine != Engine::Sqlite;
    let autoscaling = fixtures::production().spec.services.product.autoscaling.filter(|_| autoscaled);
    let replicas = Some(replicas).filter(|_| autoscaling.is_none());
    let service = match component {
        Component::User => &mut shop.spec.services.user,
        Component::Product => &mut shop.spec.services.product,
        Component::Order => &mut shop.spec.services.order,
        Component::Gateway => {
            (shop.spec.gateway.replicas, shop.spec.gateway.autoscaling) = (replicas, autoscaling);
            return;
        }
    };
    (service.replicas, service.autoscaling) = (replicas, autoscaling);
}

fn walk(shop: Shop, events: &[Event]) {
    let mut cluster = Cluster::new(shop);
    for event in events {
        cluster.happen(event);
    }
    cluster.heal();
    assert!(cluster.all_serve(LAST + 1));
    // At rest: nothing is changed any more, and nothing is left over.
    let before = (cluster.deployments.clone(), cluster.job_names());
    for _ in 0..5 {
        cluster.tick();
        cluster.reconcile();
    }
    assert_eq!((cluster.deployments.clone(), cluster.job_names()), before);
    let last = format!("{}.0.0", LAST + 1);
    assert!(cluster.jobs.iter().all(|job| job.annotations()[crate::build::names::VERSION] == last));
}

fn config() -> ProptestConfig {
    // It has read the variable.
    let told = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { told.cases } else { WALKS };
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 512, ..told }
}

proptest! {
    #![proptest_config(config())]

    /// Survival 1, 2, 5, 6, 12, 25 and 26, in any order and at any place.
    #[test]
    fn on_a_server_it_gets_ready_again_and_breaks_nothing_on_the_way(
        events in prop::collection::vec(event(), 0..60)
    ) {
        walk(fixtures::postgres(), &events);
    }

    #[test]
    fn on_files_it_gets_ready_again_and_breaks_nothing_on_the_way(
        events in prop::collection::vec(event(), 0..60)
    ) {
        walk(fixtures::smallest(), &events);
    }
}
