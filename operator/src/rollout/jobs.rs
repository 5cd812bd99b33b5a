//! What came of Jobs.

use k8s_openapi::{
    api::{batch::v1::Job, core::v1::Pod},
    jiff::{SignedDuration, Timestamp},
};
use kube::ResourceExt;
use serde::Deserialize;

use super::pods;
use crate::{
    build::{JobPlan, JobTask, container::MIGRATE, job_name, names},
    shop::{DatabaseService, Shop},
};

/// A failed Job is tried again after this long: what failed it may have been a database that was away.
const RETRY_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// A pod follows its Job within moments, unless it is refused.
const WITHOUT_PODS: SignedDuration = SignedDuration::from_secs(10);

/// What came of a Job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// There is no such Job.
    Absent,
    /// It is being deleted.
    Leaving,
    /// It runs, or will; it may have something to complain of.
    Running(Option<pods::Trouble>),
    /// It is done, and said what the schema is then.
    Done(Option<Report>),
    /// It is over and not done.
    Failed {
        /// CamelCase.
        reason: &'static str,
        /// In words.
        message: String,
        /// Whether it has been so for long enough to be tried again.
        again: bool,
    },
}

/// What a migration says of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Report {
    pub(super) schema_version: i32,
    pub(super) compatible_from: i32,
}

impl Report {
    /// Whether only binaries that know the whole schema may still run on it.
    pub(super) fn is_contracted(self) -> bool {
        self.compatible_from >= self.schema_version
    }

    /// The termination message of a container that migrated.
    pub(super) fn read(pod: &Pod) -> Option<Self> {
        let container = pods::containers(pod).find(|container| container.name == MIGRATE)?;
        let ended = pods::ended(container).filter(|ended| ended.exit_code == 0)?;
        serde_json::from_str(ended.message.as_deref()?.trim()).ok()
    }
}

/// The Jobs of a shop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Jobs<'a> {
    pub(super) shop: &'a Shop,
    pub(super) found: &'a [Job],
    pub(super) pods: &'a [Pod],
    pub(super) now: Timestamp,
}

impl<'a> Jobs<'a> {
    /// What came of what is planned. One that did the same with the same image to the same database is as good, whatever
    /// else its pod was like.
    pub(super) fn work(&self, plan: &JobPlan) -> Work {
        if let Some(done) = self.found.iter().find(|job| is_for(job, plan) && has(job, "Complete").is_some()) {
            return Work::Done(self.pods_of(done).find_map(Report::read));
        }
        let name = job_name(self.shop, plan);
        let Some(job) = self.found.iter().find(|job| job.name_any() == name) else { return Work::Absent };
        if job.metadata.deletion_timestamp.is_some() {
            return Work::Leaving;
        }
        if has(job, "Failed").is_some() {
            return self.failed(job);
        }
        let trouble = self.pods_of(job).find_map(|pod| pods::trouble(pod, self.now));
        Work::Running(trouble.or_else(|| self.without_pods(job)))
    }

    /// Why a Job has no pods is said in events of it, and nowhere else.
    fn without_pods(&self, job: &'a Job) -> Option<pods::Trouble> {
        let made = job.metadata.creation_timestamp.as_ref()?.0;
        let is_overdue = self.now.duration_since(made) >= WITHOUT_PODS;
        (is_overdue && self.pods_of(job).next().is_none()).then(|| pods::Trouble {
            reason: "FailedCreate".to_owned(),
            message: format!("no pod of it is made; kubectl describe job {} says why", job.name_any()),
        })
    }

    fn failed(&self, job: &'a Job) -> Work {
        let failed = has(job, "Failed");
        let since = failed.and_then(|it| it.last_transition_time.as_ref()).map_or(self.now, |since| since.0);
        let again = self.now.duration_since(since) >= RETRY_AFTER;
        if failed.and_then(|it| it.reason.as_deref()) == Some("DeadlineExceeded") {
            let seconds = job.spec.as_ref().and_then(|spec| spec.active_deadline_seconds).unwrap_or_default();
            let message = format!("it did not end within {seconds} s");
            return Work::Failed { reason: "DeadlineExceeded", message, again };
        }
        let mut pods: Vec<_> = self.pods_of(job).collect();
        pods.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|made| made.0));
        let words = pods.iter().rev().flat_map(|pod| pods::containers(pod)).find_map(|container| {
            let ended = pods::ended(container).filter(|ended| ended.exit_code != 0)?;
            Some(format!("{}: {}", container.name, pods::last_words(ended)))
        });
        let message = words.unwrap_or_else(|| failed.and_then(|it| it.message.clone()).unwrap_or_default());
        Work::Failed { reason: "Failed", message, again }
    }

    fn pods_of(&self, job: &'a Job) -> impl Iterator<Item = &'a Pod> {
        let uid = job.uid();
        self.pods.iter().filter(move |pod| pod.owner_references().iter().any(|owner| Some(&owner.uid) == uid.as_ref()))
    }

    /// The Jobs that nothing needs any more: all but those that did what is planned, and those that are to do it.
    pub(super) fn obsolete(&self, needed: &[JobPlan], done: &[JobPlan]) -> Vec<String> {
        let wanted: Vec<_> = needed.iter().map(|plan| job_name(self.shop, plan)).collect();
        let is_needed = |job: &'a Job| {
            let did = done.iter().any(|plan| is_for(job, plan)) && has(job, "Complete").is_some();
            let failed_long_ago =
                has(job, "Failed").is_some() && matches!(self.failed(job), Work::Failed { again: true, .. });
            did || (wanted.contains(&job.name_any()) && !failed_long_ago)
        };
        let there = self.found.iter().filter(|job| job.metadata.deletion_timestamp.is_none());
        there.filter(|job| !is_needed(job)).map(ResourceExt::name_any).collect()
    }
}

fn has<'a>(job: &'a Job, condition: &str) -> Option<&'a k8s_openapi::api::batch::v1::JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|it| it.type_ == condition && it.status == "True")
}

/// Whether a Job does what is planned, by its labels and annotations.
fn is_for(job: &Job, plan: &JobPlan) -> bool {
    let label = |name: &str| job.labels().get(name).map(String::as_str);
    let annotation = |name: &str| job.annotations().get(name).map(String::as_str);
    label(names::SERVICE_LABEL) == Some(plan.service.name())
        && label(names::TASK_LABEL) == Some(plan.task.name())
        && annotation(names::IMAGE) == Some(plan.release.image.as_str())
        && annotation(names::DATABASE) == plan.database.as_deref()
}

/// The generation of the spec that a Job was made from.
pub(super) fn generation(job: &Job) -> Option<i64> {
    job.annotations().get(names::GENERATION)?.parse().ok()
}

/// In words, for conditions.
pub(super) fn step(service: DatabaseService, task: JobTask) -> String {
    match task {
        JobTask::Preflight => format!("the preflight of {}", service.name()),
        JobTask::MigrateUp => format!("migrate up of {}", service.name()),
        JobTask::MigrateContract => format!("migrate contract of {}", service.name()),
    }
}
