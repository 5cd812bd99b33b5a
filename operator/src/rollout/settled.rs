//! What a Shop comes to when everything has gone well, without the steps in between. Pure.

use super::{claims, database_ports, problems, view::View};
use crate::{
    build::{Blueprint, JobPlan, JobTask, Replicas},
    observed::Observed,
    shop::{Component, Components, DatabaseService, Shop},
};

/// The end of the way, and what is known to be on it.
#[derive(Debug, Clone)]
pub struct Settled {
    /// Every process as the spec wants it, and the Jobs that come before.
    pub blueprint: Blueprint,
    /// Processes that run something else, in the order in which they are replaced.
    pub rolls: Vec<Component>,
    /// Services whose databases are done with their past afterwards: from then on there is no way back.
    pub contracts: Vec<DatabaseService>,
    /// What somebody has to put right first, with what to do.
    pub obstacles: Vec<String>,
}

/// Where a Shop is going.
pub fn settled(shop: &Shop, observed: &Observed) -> Settled {
    let view = View::new(shop, observed);
    let process = |component| {
        let mut process = view.process(component, view.target[component].clone());
        if let Replicas::HandOver(replicas) = process.replicas {
            // On its way from the spec to the autoscaler the number stays what it is.
            process.replicas = Replicas::Fixed(replicas);
        }
        Some(process)
    };
    let needed: Vec<_> = DatabaseService::ALL.into_iter().filter(|service| view.needs(*service)).collect();
    let jobs: Vec<JobPlan> = needed.iter().map(|service| view.before(*service)).collect();
    let mut rolls: Vec<_> = view.outdated().collect();
    if view.is_rollback() {
        rolls.reverse();
    }
    let upgraded = |job: &JobPlan| job.task == JobTask::MigrateUp && rolls.contains(&job.service.component());
    let contracts = jobs.iter().filter(|job| upgraded(job)).map(|job| job.service).collect();
    let obstacles = view.problems.iter().map(|problem| problem.message.clone()).collect();
    let ingress = !problems::blocks_ingress(&view.problems);
    let blueprint = Blueprint {
        settings: problems::settings(shop)
            .ok()
            .or_else(|| observed.settings.clone())
            .unwrap_or_else(|| "{}".to_owned()),
        processes: Components::from_fn(process),
        jobs,
        claims: claims::plan(shop, observed, &view.problems),
        database_ports: database_ports(shop, observed),
        ingress,
    };
    Settled { blueprint, rolls, contracts, obstacles }
}
