//! What is built, against committed snapshots; and what the policies let through.

mod network;

use std::{fmt::Write as _, fs, path::PathBuf};

use kube::ResourceExt as _;
use serde::Serialize;

use super::*;
use crate::{
    fixtures,
    shop::{Digests, Engine},
};

/// Set, it makes the tests write what they would compare.
const RENEW: &str = "SHOP_TEST_RENEW_SNAPSHOTS";

/// All of a shop that runs what it should, with every Job that it may have on its way.
pub(super) fn blueprint(shop: &Shop) -> Blueprint {
    let version = shop.spec.version.clone();
    let release = |component| Release { version: version.clone(), image: shop.spec.image.of(component, &version) };
    let file = shop.spec.database.engine == Engine::Sqlite;
    let process = |component: Component| Process {
        release: release(component),
        replicas: match shop.spec.autoscaling(component) {
            Some(_) => Replicas::HandOver(4),
            None => Replicas::Fixed(shop.spec.least_replicas(component)),
        },
        checksum: "c0ffee".to_owned(),
        database: component.database().filter(|_| !file).map(|_| "da7aba5e".to_owned()),
        previous: None,
        failure: None,
    };
    let tasks: &[JobTask] = if file { &[JobTask::Preflight] } else { &[JobTask::MigrateUp, JobTask::MigrateContract] };
    let job = |service: DatabaseService, task| JobPlan {
        service,
        task,
        release: release(service.component()),
        database: (!file).then(|| "da7aba5e".to_owned()),
    };
    let claim = |service| ClaimPlan { service, storage: "1Gi".to_owned(), storage_class: None };
    Blueprint {
        settings: serde_json::to_string(&shop.spec.settings).unwrap(),
        processes: Components::from_fn(|component| Some(process(component))),
        jobs: DatabaseService::ALL
            .into_iter()
            .flat_map(|service| tasks.iter().map(move |task| job(service, *task)))
            .collect(),
        claims: if file { DatabaseService::ALL.map(claim).into() } else { Vec::new() },
        database_ports: BTreeMap::new(),
        ingress: true,
    }
}

/// Every object, as it would be applied.
fn manifests(children: Children) -> String {
    // A kind that is forgotten here does not compile.
    let Children {
        service_accounts,
        config_maps,
        claims,
        services,
        network_policies,
        disruption_budgets,
        jobs,
        hand_overs,
        deployments,
        autoscalers,
        ingresses,
        untouched,
    } = children;
    let mut text = String::new();
    write(&mut text, &service_accounts);
    write(&mut text, &config_maps);
    write(&mut text, &claims);
    write(&mut text, &services);
    write(&mut text, &network_policies);
    write(&mut text, &disruption_budgets);
    write(&mut text, &jobs);
    write(&mut text, &deployments);
    write(&mut text, &autoscalers);
    write(&mut text, &ingresses);
    for (component, replicas) in hand_overs {
        writeln!(text, "# handed over: {} with {replicas} pods", component.name()).unwrap();
    }
    assert!(untouched.is_empty());
    text
}

fn write(text: &mut String, objects: &[impl Serialize]) {
    for object in objects {
        writeln!(text, "---\n{}", serde_saphyr::to_string(object).unwrap().trim_end()).unwrap();
    }
}

fn compare(name: &str, shop: &Shop) {
    let path = PathBuf::from(format!("src/build/tests/snapshots/{name}.yaml"));
    let built = manifests(build(shop, &blueprint(shop)));
    if std::env::var_os(RENEW).is_some() {
        fs::write(&path, built).unwrap();
        return;
    }
    let committed = fs::read_to_string(&path).unwrap();
    let different = built.lines().zip(committed.lines()).position(|(built, committed)| built != committed);
    let line = different.unwrap_or_else(|| built.lines().count().min(committed.lines().count()));
    let context = |text: &str| text.lines().skip(line.saturating_sub(8)).take(16).collect::<Vec<_>>().join("\n");
    assert!(
        built == committed,
        "{name}.yaml differs at line {}; look at it, then `make generate`\n--- built\n{}\n--- committed\n{}",
        line + 1,
        context(&built),
        context(&committed)
    );
}

#[test]
fn the_smallest_shop_is_as_committed() {
    compare("smallest", &fixtures::smallest());
}

#[test]
fn a_shop_on_a_server_is_as_committed() {
    compare("postgres", &fixtures::postgres());
}

#[test]
fn a_shop_with_everything_is_as_committed() {
    compare("production", &fixtures::production());
}

/// A Job can't change: whatever would change it makes another one.
#[test]
fn a_job_is_named_after_everything_about_it() {
    let shop = fixtures::postgres();
    let plan = blueprint(&shop).jobs.remove(0);
    let name = job_name(&shop, &plan);
    assert_eq!(name, job_name(&shop, &plan));
    let mut others = vec![];
    let mut with = |change: &dyn Fn(&mut Shop, &mut JobPlan)| {
        let (mut shop, mut plan) = (shop.clone(), plan.clone());
        change(&mut shop, &mut plan);
        others.push(job_name(&shop, &plan));
    };
    with(&|_, plan| plan.task = JobTask::MigrateContract);
    with(&|_, plan| plan.service = DatabaseService::User);
    with(&|_, plan| plan.release.image.push('x'));
    with(&|_, plan| plan.release.version.push('x'));
    with(&|_, plan| plan.database = Some("elsewhere".to_owned()));
    with(&|shop, _| shop.spec.image.pull_secrets = vec![crate::shop::LocalReference { name: "registry".to_owned() }]);
    with(&|shop, _| shop.metadata.uid = Some("another".to_owned()));
    with(&|shop, _| shop.metadata.annotations = Some([(names::MIGRATION_DEADLINE.to_owned(), "5".to_owned())].into()));
    with(&|_, _| ());
    assert_eq!(others.pop(), Some(name.clone()));
    others.push(name);
    let all = others.len();
    others.sort();
    others.dedup();
    assert_eq!(others.len(), all);
}

#[test]
fn names_fit_whatever_the_shop_is_called() {
    let mut shop = fixtures::postgres();
    shop.metadata.name = Some("a".repeat(63));
    for plan in blueprint(&shop).jobs {
        assert_eq!(job_name(&shop, &plan).len(), 63);
    }
    shop.spec.version = format!("1.0.0+{}.", "x".repeat(100));
    for deployment in build(&shop, &blueprint(&shop)).deployments {
        let version = &deployment.labels()["app.kubernetes.io/version"];
        assert!(version.len() <= 63 && version.ends_with('x') && !version.contains('+'), "{version}");
    }
}

/// Survival 9: what the spec says no more, the objects say no more.
#[test]
fn what_is_removed_from_the_spec_is_removed_from_the_objects() {
    let mut shop = fixtures::production();
    let full = build(&shop, &blueprint(&shop));
    assert_eq!((full.ingresses.len(), full.autoscalers.len()), (1, 2));
    shop.spec.gateway = crate::shop::Gateway::default();
    shop.spec.services = crate::shop::Services::default();
    shop.spec.telemetry.otlp_endpoint = None;
    shop.spec.events.sink = None;
    shop.spec.image.digests = Digests::default();
    let bare = build(&shop, &blueprint(&shop));
    assert_eq!((bare.ingresses.len(), bare.autoscalers.len(), bare.disruption_budgets.len()), (0, 0, 0));
    let text = manifests(bare);
    for gone in ["OTEL_EXPORTER", "SHOP_EVENT_", "SHOP_TRUSTED_PROXIES", "sha256", "512Mi", "4317", "8443"] {
        assert!(!text.contains(gone), "{gone}");
    }
}

/// Survival 11: a number that the autoscaler has is not in what is applied.
#[test]
fn the_number_of_pods_is_left_out_once_an_autoscaler_has_it() {
    let shop = fixtures::production();
    let mut blueprint = blueprint(&shop);
    let replicas = |blueprint: &Blueprint| {
        let deployments = build(&shop, blueprint).deployments.into_iter();
        deployments.map(|it| (it.name_any(), it.spec.unwrap().replicas)).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(replicas(&blueprint)["demo-product"], None);
    assert_eq!(replicas(&blueprint)["demo-order"], Some(2));
    assert_eq!(build(&shop, &blueprint).hand_overs, [(Component::Product, 4), (Component::Gateway, 4)]);
    blueprint.processes.product.as_mut().unwrap().replicas = Replicas::Autoscaled;
    assert_eq!(replicas(&blueprint)["demo-product"], None);
    assert_eq!(build(&shop, &blueprint).hand_overs, [(Component::Gateway, 4)]);
}

#[test]
fn what_is_left_alone_is_neither_built_nor_to_be_deleted() {
    let shop = fixtures::production();
    let mut blueprint = blueprint(&shop);
    blueprint.processes.product = None;
    blueprint.ingress = false;
    let children = build(&shop, &blueprint);
    let untouched = [(Kind::HorizontalPodAutoscaler, "demo-product"), (Kind::Ingress, "demo-gateway")];
    assert_eq!(children.untouched, untouched.map(|(kind, name)| (kind, name.to_owned())));
    assert!(children.ingresses.is_empty());
    assert_eq!(children.deployments.len(), 3);
    assert!(children.autoscalers.iter().all(|autoscaler| autoscaler.name_any() == "demo-gateway"));
}

/// Only the number of pods, and what stands beside the template, may change without a pod being replaced (survival 27).
#[test]
fn pods_are_replaced_only_by_what_changes_them() {
    let shop = fixtures::postgres();
    let process = blueprint(&shop).processes.order.unwrap();
    let digest = |shop: &Shop, process: &Process| template_digest(shop, Component::Order, process);
    let before = digest(&shop, &process);
    let mut same = shop.clone();
    same.spec.services.order.replicas = Some(5);
    same.spec.settings.maintenance = Some(true);
    same.spec.gateway = fixtures::production().spec.gateway;
    same.metadata.generation = Some(9);
    let mut process_of_old = process.clone();
    process_of_old.previous = Some(process.release.clone());
    process_of_old.replicas = Replicas::Fixed(5);
    assert_eq!(digest(&same, &process_of_old), before);
    let mut other = shop.clone();
    other.spec.services.order.resources = fixtures::production().spec.services.user.resources;
    assert_ne!(digest(&other, &process), before);
    assert_ne!(digest(&shop, &Process { checksum: "other".to_owned(), ..process }), before);
}

/// Pods of Jobs are in nobody's Service, and what a Deployment, a budget and a Service select are its pods alone.
#[test]
fn nothing_selects_the_pods_of_jobs() {
    for shop in [fixtures::smallest(), fixtures::postgres()] {
        let children = build(&shop, &blueprint(&shop));
        let selectors =
            children.services.iter().map(|service| service.spec.as_ref().unwrap().selector.clone().unwrap());
        for selector in selectors {
            for job in &children.jobs {
                let labels = job.spec.as_ref().unwrap().template.metadata.as_ref().unwrap().labels.clone().unwrap();
                assert!(!selector.iter().all(|(key, value)| labels.get(key) == Some(value)), "{}", job.name_any());
            }
        }
    }
}
