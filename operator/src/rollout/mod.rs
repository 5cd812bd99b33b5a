//! What to do next, from the spec and what was read of the world. Pure: the same input has the same answer, so that an
//! operator that was killed at any point goes on where it was.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use self::view::View;
use crate::{
    build::Blueprint,
    observed::Observed,
    shop::{Component, DatabaseService, Phase, ServiceStatus, Shop},
};

mod claims;
mod consul;
mod databases;
mod jobs;
mod live;
mod pods;
mod problems;
mod replicas;
mod roll;
mod settled;
mod status;
#[cfg(test)]
mod tests;
mod view;

#[cfg(test)]
use roll::compare_versions;
pub use settled::{Settled, settled};
pub use status::BLOCKED;

/// What is to be done and what is to be said.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The objects to make, if any may be written at the moment. `None` while the Shop is paused, goes, or was read from a
    /// cache that lags behind.
    pub blueprint: Option<Blueprint>,
    /// Names of Jobs that are not needed any more, be they at work.
    pub obsolete_jobs: Vec<String>,
    /// Ids of instances in Consul whose pods are gone, to be taken out.
    pub dead_instances: Vec<String>,
    /// Whether the settings are to be written to Consul.
    pub write_settings: bool,
    /// The phase to be shown.
    pub phase: Phase,
    /// Each of [`crate::shop::ConditionType`], with a message that says what to do.
    pub conditions: Vec<Condition>,
    /// Each process.
    pub services: Vec<ServiceStatus>,
    /// `4/4`: processes that are as they should be, of all.
    pub ready_services: String,
    /// The version that every process runs.
    pub version: Option<String>,
}

/// Decides.
pub fn decide(shop: &Shop, observed: &Observed) -> Decision {
    let view = View::new(shop, observed);
    if view.is_stale() {
        return unchanged(shop);
    }
    let roll = roll::roll(&view);
    let databases = databases::plan(&view, &roll);
    let said = status::say(&view, &roll, &databases);
    let mut decision = Decision {
        dead_instances: consul::dead_instances(observed),
        write_settings: false,
        phase: said.phase,
        conditions: said.conditions,
        services: said.services,
        ready_services: said.ready_services,
        version: said.version,
        ..unchanged(shop)
    };
    if shop.metadata.deletion_timestamp.is_some() {
        decision.phase = Phase::Deleting;
    } else if shop.spec.paused {
        // What is in Consul for pods that are gone harms clients, and is nobody's wish: it goes all the same.
        decision.phase = Phase::Paused;
    } else {
        let settings = problems::settings(shop);
        let registered = observed.consul.as_ref();
        decision.write_settings = settings.is_ok() && registered.is_ok_and(|registered| !registered.settings_current);
        decision.obsolete_jobs.clone_from(&databases.obsolete);
        decision.blueprint = Some(Blueprint {
            settings: settings.ok().or_else(|| observed.settings.clone()).unwrap_or_else(|| "{}".to_owned()),
            jobs: databases.jobs(),
            processes: roll.processes,
            claims: claims::plan(shop, observed, &view.problems),
            database_ports: database_ports(shop, observed),
            ingress: !problems::blocks_ingress(&view.problems),
        });
    }
    decision
}

/// Whether a request through the gateway is worth a try: every process has a pod that is ready.
pub fn is_worth_a_probe(observed: &Observed) -> bool {
    let ready = |component: Component| {
        let state = live::State::of(observed.deployments[component].as_ref());
        state.live().is_some_and(|live| live.ready() > 0)
    };
    Component::ROLL_ORDER.into_iter().all(ready)
}

/// Nothing to do, and what was said before.
fn unchanged(shop: &Shop) -> Decision {
    let status = shop.status.clone().unwrap_or_default();
    Decision {
        blueprint: None,
        obsolete_jobs: Vec::new(),
        dead_instances: Vec::new(),
        write_settings: false,
        phase: status.phase.unwrap_or(Phase::Pending),
        conditions: status.conditions,
        services: status.services,
        ready_services: status.ready_services.unwrap_or_default(),
        version: status.version,
    }
}

fn database_ports(shop: &Shop, observed: &Observed) -> std::collections::BTreeMap<DatabaseService, i32> {
    let port = |service: DatabaseService| {
        let found = observed.references.get(shop.spec.database.url_of(service)?)?;
        match found {
            crate::observed::Reference::Found { port, .. } => Some((service, i32::from((*port)?))),
            _ => None,
        }
    };
    DatabaseService::ALL.into_iter().filter_map(port).collect()
}
