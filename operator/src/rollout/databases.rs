//! What has to be done to the databases, before processes are replaced and after.

use super::{
    jobs::{Report, Work, step},
    pods::Trouble,
    roll::{Course, Roll},
    view::View,
};
use crate::{
    build::{JobPlan, JobTask, job_name},
    shop::{DatabaseService, Engine},
};

/// When something is done to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before a process is replaced: preflight and `migrate up`.
    Before,
    /// When no older pod is left: `migrate contract`.
    After,
}

/// One step, and what came of it.
#[derive(Debug)]
struct Planned {
    stage: Stage,
    plan: JobPlan,
    name: String,
    work: Work,
}

/// What has to be done, and what came of it.
#[derive(Debug)]
pub(super) struct Databases {
    planned: Vec<Planned>,
    /// Whether pods of the version before are yet to end before its schema may.
    is_draining: bool,
    /// Whether the schema of the version before stays for as long as no request through the gateway is answered.
    is_held: bool,
    /// Jobs that nothing needs any more.
    pub(super) obsolete: Vec<String>,
}

pub(super) fn plan(view: &View<'_>, roll: &Roll) -> Databases {
    let jobs = view.jobs();
    let mut planned = Vec::new();
    let mut add = |stage, plan: JobPlan| {
        let work = view.work(plan.service, plan.task).clone();
        planned.push(Planned { stage, name: job_name(view.shop, &plan), plan, work });
    };
    for service in DatabaseService::ALL {
        if view.needs(service) && !view.is_blocked(service.component()) {
            add(Stage::Before, view.before(service));
        }
    }
    let mut past = if has_arrived(view, roll) { DatabaseService::ALL.to_vec() } else { Vec::new() };
    // A new database has no past, and a migration that changed nothing leaves nothing to end.
    past.retain(|service| !view.schema(*service).is_some_and(Report::is_contracted));
    // There is no way back from a version that does not answer. What has begun goes on: to have the schema in between helps
    // nobody, and it may itself be what a request waits for.
    let wanted = past.len();
    past.retain(|service| is_proved(view) || *view.work(*service, JobTask::MigrateContract) != Work::Absent);
    let is_held = past.len() < wanted;
    // The point of no return: no pod of another version is left, not even one on its way out.
    let is_draining = !past.is_empty() && view.has_older_pods();
    for service in past.into_iter().filter(|_| !is_draining) {
        add(Stage::After, view.job(service, JobTask::MigrateContract));
    }
    let needed: Vec<_> = planned.iter().map(|planned| planned.plan.clone()).collect();
    let tasks = [JobTask::Preflight, JobTask::MigrateUp, JobTask::MigrateContract];
    let done = DatabaseService::ALL.into_iter().flat_map(|service| tasks.map(|task| view.job(service, task)));
    let obsolete = jobs.obsolete(&needed, &done.collect::<Vec<_>>());
    Databases { planned, is_draining, is_held, obsolete }
}

/// Whether every process is what the spec says and serves. A file has no point of no return: its pod is the only one, and it
/// has to be able to go back.
fn has_arrived(view: &View<'_>, roll: &Roll) -> bool {
    view.shop.spec.database.engine != Engine::Sqlite
        && roll.courses.iter().all(|(_, course)| *course == Course::Settled)
}

/// Whether a client is answered by what runs.
fn is_proved(view: &View<'_>) -> bool {
    matches!(view.observed.probe, Some(Ok(())))
}

impl Databases {
    /// The Jobs that there should be. Those that are done are there, or were.
    pub(super) fn jobs(&self) -> Vec<JobPlan> {
        let open = self.planned.iter().filter(|planned| match planned.work {
            Work::Absent | Work::Running(_) => true,
            // It is made again when the one of its name is gone.
            Work::Leaving | Work::Failed { .. } | Work::Done(_) => false,
        });
        open.map(|planned| planned.plan.clone()).collect()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.planned.iter().any(|planned| matches!(planned.work, Work::Failed { .. }))
    }

    /// What went wrong, in words that say which step and what to do.
    pub(super) fn failures(&self) -> Vec<Trouble> {
        self.planned.iter().filter_map(Planned::trouble).collect()
    }

    /// The stage of what has not ended yet, unless something failed.
    pub(super) fn under_way(&self) -> Option<Stage> {
        let open = |planned: &&Planned| matches!(planned.work, Work::Absent | Work::Leaving | Work::Running(_));
        self.planned.iter().find(open).map(|planned| planned.stage).or(self.is_draining.then_some(Stage::After))
    }

    /// What is under way.
    pub(super) fn tell(&self) -> String {
        if self.is_draining {
            return "pods of the version before are on their way out; then its schema ends".to_owned();
        }
        let open = self.planned.iter().filter(|planned| !matches!(planned.work, Work::Done(_)));
        let steps: Vec<_> = open.map(|planned| step(planned.plan.service, planned.plan.task)).collect();
        format!("under way: {}", steps.join(", "))
    }

    /// Whether the databases are what the version needs; reason and message.
    pub(super) fn verdict(&self, view: &View<'_>) -> (bool, &'static str, String) {
        let failed = self.planned.iter().find_map(|planned| match &planned.work {
            Work::Failed { reason, .. } => Some((*reason, planned)),
            _ => None,
        });
        if let Some((reason, planned)) = failed {
            let reason = match (planned.plan.task, reason) {
                (_, "DeadlineExceeded") => "DeadlineExceeded",
                (JobTask::Preflight, _) => "PreflightFailed",
                (JobTask::MigrateUp, _) => "MigrationFailed",
                (JobTask::MigrateContract, _) => "ContractFailed",
            };
            return (false, reason, planned.trouble().map(|trouble| trouble.message).unwrap_or_default());
        }
        let blocked = DatabaseService::ALL
            .into_iter()
            .find(|service| view.is_blocked(service.component()) && !view.is_at_target(service.component()));
        if let Some(service) = blocked {
            return (false, "Blocked", format!("the database of {} waits for what Degraded says", service.name()));
        }
        match self.under_way() {
            Some(Stage::Before) => (false, "Migrating", self.tell()),
            Some(Stage::After) => (false, "Contracting", self.tell()),
            None if self.is_held => {
                let message =
                    "every pod is new; the schema of the version before stays, and with it the way back, until a \
                               request through the gateway is answered"
                        .to_owned();
                (false, "ContractHeld", message)
            }
            None if view.is_rollback() => {
                let message =
                    "an older version is put back without migrations; if its pods do not come up, it can't run on the \
                               schema any more: go on to the newer version"
                        .to_owned();
                (true, "RollingBack", message)
            }
            None => (true, "Migrated", format!("each database has the schema of {}", view.shop.spec.version)),
        }
    }
}

impl Planned {
    fn trouble(&self) -> Option<Trouble> {
        let step = step(self.plan.service, self.plan.task);
        let image = &self.plan.release.image;
        match &self.work {
            Work::Running(Some(trouble)) => {
                let message = format!("{step} with {image} does not start: {}: {}", trouble.reason, trouble.message);
                Some(Trouble { reason: trouble.reason.clone(), message })
            }
            Work::Failed { message, .. } => {
                let reason = match self.plan.task {
                    JobTask::Preflight => "PreflightFailed",
                    JobTask::MigrateUp => "MigrationFailed",
                    JobTask::MigrateContract => "ContractFailed",
                };
                let message = format!(
                    "{step} with {image} failed: {message}; what ran before serves. Correct spec.version or the database; to try \
                     again at once, delete Job {}",
                    self.name
                );
                Some(Trouble { reason: reason.to_owned(), message })
            }
            Work::Absent | Work::Leaving | Work::Running(None) | Work::Done(_) => None,
        }
    }
}
