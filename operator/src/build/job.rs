//! What is done to databases before and after processes are replaced.

use k8s_openapi::{
    api::{
        batch::v1::{
            Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
            PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
        },
        core::v1::{PodSpec, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt as _;
use shop_server::{EX_DATAERR, EX_USAGE};

use super::{JobPlan, JobTask, container, digest, digest::digest_of, names, pod};
use crate::shop::{DatabaseService, Shop};

/// A database that is not there yet is waited for by the process itself; this is for nodes that fail under it.
const RETRIES: i32 = 2;
/// A migration that takes longer than this waits for something that it will not get.
const DEADLINE_SECONDS: i64 = 600;
/// What a label may hold, and with it the name of a Job.
const MAX_NAME: usize = 63;

pub(super) fn build(shop: &Shop, plans: &[JobPlan]) -> Vec<Job> {
    plans.iter().map(|plan| job(shop, plan)).collect()
}

/// The name of a Job. Another image, another database or another pod in any way is another Job: a Job can't change, and one
/// that failed must not be in the way of what would put it right.
pub fn job_name(shop: &Shop, plan: &JobPlan) -> String {
    name(shop, plan, &template(shop, plan))
}

fn name(shop: &Shop, plan: &JobPlan, template: &PodTemplateSpec) -> String {
    let identity = [
        shop.uid().unwrap_or_default(),
        plan.service.name().to_owned(),
        plan.task.name().to_owned(),
        plan.release.version.clone(),
        plan.database.clone().unwrap_or_default(),
        deadline(shop).to_string(),
        digest_of(template),
    ];
    let suffix = format!("-{}-{}-{}", plan.service.name(), plan.task.name(), digest(&identity));
    let mut name = names::shop(shop);
    name.truncate(MAX_NAME - suffix.len());
    name + &suffix
}

fn job(shop: &Shop, plan: &JobPlan) -> Job {
    let template = template(shop, plan);
    let mut metadata = names::metadata(shop, name(shop, plan, &template), labels(shop, plan));
    let annotations = [
        (names::IMAGE, Some(plan.release.image.clone())),
        (names::VERSION, Some(plan.release.version.clone())),
        (names::DATABASE, plan.database.clone()),
        (names::GENERATION, shop.metadata.generation.map(|generation| generation.to_string())),
    ];
    metadata.annotations =
        Some(annotations.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect());
    Job {
        metadata,
        spec: Some(JobSpec {
            backoff_limit: Some(RETRIES),
            active_deadline_seconds: Some(deadline(shop)),
            pod_failure_policy: Some(retries()),
            // The next try begins when the pod before has ended, not when it is asked to.
            pod_replacement_policy: Some("Failed".to_owned()),
            template,
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

/// Which ends count as a try: none that the cluster made (a drained node, preemption), and only one that says that another
/// would end as it did.
fn retries() -> PodFailurePolicy {
    let disrupted = PodFailurePolicyRule {
        action: "Ignore".to_owned(),
        on_exit_codes: None,
        on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
            type_: "DisruptionTarget".to_owned(),
            status: Some("True".to_owned()),
        }]),
    };
    let lasting = PodFailurePolicyRule {
        action: "FailJob".to_owned(),
        on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
            container_name: None,
            operator: "In".to_owned(),
            values: vec![EX_USAGE.into(), EX_DATAERR.into()],
        }),
        on_pod_conditions: None,
    };
    PodFailurePolicy { rules: vec![disrupted, lasting] }
}

fn deadline(shop: &Shop) -> i64 {
    let given = shop.annotations().get(names::MIGRATION_DEADLINE).and_then(|seconds| seconds.parse().ok());
    given.filter(|seconds| *seconds > 0).unwrap_or(DEADLINE_SECONDS)
}

/// Not those of the process: its Service, budget and Deployment must not take the pods of Jobs for theirs.
fn labels(shop: &Shop, plan: &JobPlan) -> std::collections::BTreeMap<String, String> {
    let name = format!("{}-{}", plan.service.name(), plan.task.name());
    let mut labels = names::labels(shop, &name, "migration");
    labels.insert(names::SERVICE_LABEL.to_owned(), plan.service.name().to_owned());
    labels.insert(names::TASK_LABEL.to_owned(), plan.task.name().to_owned());
    labels
}

fn template(shop: &Shop, plan: &JobPlan) -> PodTemplateSpec {
    let (service, release) = (plan.service, &plan.release);
    let mounted = [pod::temporary()];
    let (before, last) = match plan.task {
        JobTask::Preflight => (None, container::preflight(shop, service, release, &mounted)),
        JobTask::MigrateUp => {
            let migrate = container::migrate_up(shop, service, release, &mounted);
            match service {
                DatabaseService::User => (Some(migrate), container::create_admin(shop, release, &mounted)),
                DatabaseService::Product | DatabaseService::Order => (None, migrate),
            }
        }
        JobTask::MigrateContract => (None, container::contract(shop, service, release, &mounted)),
    };
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels(shop, plan)), ..ObjectMeta::default() }),
        spec: Some(PodSpec {
            init_containers: before.map(|container| vec![container]),
            containers: vec![last],
            // Each try is a pod of its own, whose last words stay.
            restart_policy: Some("Never".to_owned()),
            volumes: Some(mounted.into_iter().map(|mounted| mounted.volume).collect()),
            ..pod::base(shop)
        }),
    }
}
