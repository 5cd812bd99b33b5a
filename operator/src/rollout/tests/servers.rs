//! Shops whose databases are on a server.

use kube::ResourceExt;

use super::cluster::{Cluster, Image};
use crate::{
    build::names,
    fixtures,
    rollout::Decision,
    shop::{Component, DatabaseService, Phase},
};

fn serving(version: &str) -> Cluster {
    let mut cluster = Cluster::new(fixtures::postgres());
    cluster.shop.spec.version = version.to_owned();
    cluster.until_ready();
    cluster
}

#[test]
fn a_new_shop_is_migrated_then_made_and_needs_no_contract() {
    let mut cluster = Cluster::new(fixtures::postgres());
    cluster.reconcile();
    assert_eq!(cluster.phase(), Phase::Migrating);
    cluster.says("DatabaseMigrated", "False", "Migrating", &["migrate up of product"]);
    assert_eq!(cluster.jobs.len(), 3);
    // The gateway has no database to wait for.
    assert_eq!(cluster.told_all(), [None, None, None, Some(1)]);
    cluster.until_ready();
    cluster.says("DatabaseMigrated", "True", "Migrated", &["1.0.0"]);
    cluster.says("ConsulSynced", "True", "Synced", &[]);
    cluster.says("Degraded", "False", "AsExpected", &[]);
    let decision = cluster.decision.as_ref().unwrap();
    assert_eq!((decision.version.as_deref(), decision.ready_services.as_str()), (Some("1.0.0"), "4/4"));
    let order = decision.services.iter().find(|service| service.name == "order").unwrap();
    assert_eq!((order.ready, order.desired, order.registered, order.schema), (1, 1, Some(1), Some(1)));
    cluster.go_on();
    assert!(cluster.jobs.iter().all(|job| job.labels()[names::TASK_LABEL] == "migrate"));
}

/// Survival 2 and 7: databases first, then one process after the other, then the point of no return.
#[test]
fn an_upgrade_migrates_rolls_in_order_and_contracts() {
    let mut cluster = serving("1.0.0");
    cluster.upgrade("2.0.0");
    let mut orders = vec![cluster.told_all()];
    cluster.until("version 2", |cluster| {
        let told = cluster.told_all();
        // Whatever has not been told the new version serves the old one.
        for component in Component::ROLL_ORDER {
            assert!(cluster.ready(component) > 0, "{component:?} does not serve: {told:?}");
        }
        cluster.is_ready() && cluster.all_serve(2)
    });
    orders.push(cluster.told_all());
    assert_eq!(orders, [[Some(1); 4], [Some(2); 4]]);
    assert!(cluster.schemas.values().all(|schema| *schema == Some((2, 2))));
    assert_eq!(cluster.decision.as_ref().unwrap().version.as_deref(), Some("2.0.0"));
}

#[test]
fn a_process_waits_for_the_one_before() {
    let mut cluster = serving("1.0.0");
    cluster.upgrade("2.0.0");
    let mut seen = vec![cluster.told_all()];
    cluster.until("version 2", |_| true);
    for _ in 0..200 {
        cluster.reconcile();
        if seen.last() != Some(&cluster.told_all()) {
            let told = cluster.told_all();
            // Each one that was told before serves by now.
            for (component, version) in Component::ROLL_ORDER.into_iter().zip(seen.last().unwrap()) {
                assert!(*version != Some(2) || cluster.serving(component) == [2], "{component:?}: {told:?}");
            }
            seen.push(told);
        }
        cluster.tick();
    }
    let (old, new) = (Some(1), Some(2));
    assert_eq!(
        seen,
        [[old; 4], [new, old, old, old], [new, new, old, old], [new, new, new, old], [new; 4]],
        "product, user, order, gateway"
    );
}

/// Survival 26: whatever a migration comes to, the old version serves and the step is named; a fixed image goes on.
#[test]
fn a_migration_that_fails_or_hangs_leaves_the_old_version_serving() {
    for (image, reason, words) in [
        (Image::MigrationFails, "MigrationFailed", "column is in use"),
        (Image::MigrationHangs, "DeadlineExceeded", "did not end within 30 s"),
        (Image::Missing, "DeadlineExceeded", "did not end within 30 s"),
    ] {
        let mut cluster = serving("1.0.0");
        cluster.shop.metadata.annotations = Some([(names::MIGRATION_DEADLINE.to_owned(), "30".to_owned())].into());
        cluster.images.insert(2, image);
        cluster.upgrade("2.0.0");
        cluster.go_on();
        cluster.says("DatabaseMigrated", "False", reason, &["migrate up of product", "product:2.0.0", words]);
        cluster.says("Degraded", "True", "MigrationFailed", &[words]);
        cluster.says("Progressing", "False", "Blocked", &[]);
        cluster.says("Ready", "False", "MigrationFailed", &[]);
        assert_eq!(cluster.phase(), Phase::Degraded);
        assert!(cluster.all_serve(1) && cluster.told_all() == [Some(1); 4], "{image:?}");
        assert_eq!(cluster.decision.as_ref().unwrap().version.as_deref(), Some("1.0.0"));
        // Corrected by another version; what is left of the first is cleared up.
        cluster.upgrade("3.0.0");
        cluster.until("version 3", |cluster| cluster.is_ready() && cluster.all_serve(3));
        assert!(cluster.job_names().iter().all(|name| !name.is_empty()));
        assert!(cluster.jobs.iter().all(|job| job.annotations()[names::VERSION] == "3.0.0"));
    }
}

#[test]
fn a_hanging_migration_is_ended_when_it_is_wanted_no_more() {
    let mut cluster = serving("1.0.0");
    cluster.images.insert(2, Image::MigrationHangs);
    cluster.upgrade("2.0.0");
    cluster.reconcile();
    cluster.tick();
    cluster.says("DatabaseMigrated", "False", "Migrating", &[]);
    cluster.upgrade("1.0.0");
    cluster.until_ready();
    assert!(cluster.jobs.iter().all(|job| job.annotations()[names::VERSION] == "1.0.0"));
}

#[test]
fn a_failed_migration_is_tried_again_after_a_while() {
    let mut cluster = serving("1.0.0");
    cluster.images.insert(2, Image::MigrationFails);
    cluster.upgrade("2.0.0");
    cluster.go_on();
    cluster.images.insert(2, Image::Good);
    cluster.go_on();
    cluster.says("DatabaseMigrated", "False", "MigrationFailed", &["delete Job demo-"]);
    cluster.now += k8s_openapi::jiff::SignedDuration::from_mins(10);
    cluster.until("version 2", |cluster| cluster.is_ready() && cluster.all_serve(2));
}

#[test]
fn a_failed_migration_is_tried_again_once_its_job_is_deleted() {
    let mut cluster = serving("1.0.0");
    cluster.images.insert(2, Image::MigrationFails);
    cluster.upgrade("2.0.0");
    cluster.go_on();
    cluster.images.insert(2, Image::Good);
    for name in cluster.job_names() {
        cluster.delete_job(&name);
    }
    cluster.until("version 2", |cluster| cluster.is_ready() && cluster.all_serve(2));
}

/// Survival 6: an image that does not come up takes no pod down, and going back needs no help.
#[test]
fn a_bad_image_is_named_and_reverted_by_the_spec_alone() {
    for (image, reason) in [(Image::Crashes, "CrashLoopBackOff"), (Image::Missing, "ImagePullBackOff")] {
        let mut cluster = serving("1.0.0");
        // The Jobs still run: only the process is bad.
        cluster.upgrade("2.0.0");
        cluster.until("the first pod of version 2 is asked for", |cluster| cluster.told(Component::Product) == Some(2));
        cluster.images.insert(2, image);
        cluster.go_on();
        cluster.says("Degraded", "True", reason, &["product"]);
        assert_eq!(cluster.phase(), Phase::Degraded);
        assert!(cluster.all_serve(1), "{image:?}");
        assert_eq!(cluster.told_all(), [Some(2), Some(1), Some(1), Some(1)]);
        cluster.upgrade("1.0.0");
        cluster.until_ready();
        assert!(cluster.all_serve(1) && cluster.told_all() == [Some(1); 4]);
        assert!(cluster.schemas.values().all(|schema| schema.unwrap().1 == 1), "nothing was contracted");
    }
}

/// Survival 25: back from the middle, callers first, without a migration and without a half that stays.
#[test]
fn a_rollback_goes_the_other_way_round_and_migrates_nothing() {
    let mut cluster = serving("1.0.0");
    cluster.upgrade("2.0.0");
    cluster.until("order is told", |cluster| cluster.told(Component::Order) == Some(2));
    cluster.upgrade("1.0.0");
    let mut seen = vec![cluster.told_all()];
    for _ in 0..100 {
        cluster.reconcile();
        if seen.last() != Some(&cluster.told_all()) {
            seen.push(cluster.told_all());
        }
        let back = cluster.jobs.iter().find(|job| job.annotations()[names::VERSION] == "2.0.0");
        assert!(back.is_none(), "{back:?}");
        cluster.tick();
    }
    let (old, new) = (Some(1), Some(2));
    assert_eq!(seen, [[new, new, new, old], [new, new, old, old], [new, old, old, old], [old; 4]]);
    assert!(cluster.is_ready());
    assert!(cluster.schemas.values().all(|schema| *schema == Some((2, 1))));
}

#[test]
fn a_rollback_past_the_point_of_no_return_leaves_the_newer_version_serving() {
    let mut cluster = serving("1.0.0");
    cluster.upgrade("2.0.0");
    cluster.until("version 2", |cluster| cluster.is_ready() && cluster.all_serve(2));
    cluster.upgrade("1.0.0");
    cluster.go_on();
    // The gateway has no schema; order is the first that can't go back.
    assert_eq!(cluster.told_all(), [Some(2), Some(2), Some(1), Some(1)]);
    assert_eq!(cluster.serving(Component::Order), [2]);
    cluster.says("Degraded", "True", "CrashLoopBackOff", &["order", "run a newer version"]);
    cluster.says("DatabaseMigrated", "True", "RollingBack", &["go on to the newer version"]);
    cluster.upgrade("2.0.0");
    cluster.until("version 2", |cluster| cluster.is_ready() && cluster.all_serve(2));
}

/// The gateway is there before the databases are, and what is half installed has no version before.
#[test]
fn another_version_in_mid_installation_waits_for_its_own_databases() {
    let mut cluster = Cluster::new(fixtures::postgres());
    cluster.reconcile();
    assert_eq!(cluster.told_all(), [None, None, None, Some(1)]);
    cluster.upgrade("2.0.0");
    cluster.reconcile();
    assert_eq!(cluster.told_all(), [None, None, None, Some(1)]);
    cluster.until("version 2", |cluster| cluster.is_ready() && cluster.all_serve(2));
    assert!(cluster.schemas.values().all(|schema| *schema == Some((2, 2))));
}

#[test]
fn versions_that_are_only_names_go_forward() {
    let mut cluster = serving("2.0.0");
    // Not a version, so that nobody can say which is newer.
    cluster.upgrade("3.blue");
    cluster.until("the blue version", |cluster| cluster.is_ready() && cluster.all_serve(3));
    cluster.upgrade("4.green");
    cluster.until("the green version", |cluster| cluster.is_ready() && cluster.all_serve(4));
    assert!(cluster.schemas.values().all(|schema| *schema == Some((4, 4))));
}

/// Survival 5: a spec that was read from a cache that lags behind changes nothing.
#[test]
fn a_stale_spec_does_nothing_at_all() {
    let mut cluster = serving("1.0.0");
    let stale = cluster.shop.clone();
    cluster.upgrade("2.0.0");
    cluster.until("version 2", |cluster| cluster.is_ready() && cluster.all_serve(2));
    let before = (cluster.deployments.clone(), cluster.jobs.clone(), cluster.schemas.clone());
    cluster.reconcile_with(&stale, usize::MAX);
    let Decision { blueprint, obsolete_jobs, dead_instances, write_settings, conditions, .. } =
        cluster.decision.clone().unwrap();
    assert!(blueprint.is_none() && obsolete_jobs.is_empty() && dead_instances.is_empty() && !write_settings);
    assert_eq!(Some(conditions), stale.status.map(|status| status.conditions));
    assert_eq!((cluster.deployments.clone(), cluster.jobs.clone(), cluster.schemas.clone()), before);
}

#[test]
fn nothing_is_contracted_while_an_older_pod_is_on_its_way_out() {
    let mut cluster = serving("1.0.0");
    let old = cluster.pods.iter().find(|pod| crate::rollout::pods::component(pod) == Some(Component::User)).cloned();
    let mut old = old.unwrap();
    cluster.upgrade("2.0.0");
    cluster.until("all are told", |cluster| cluster.told_all() == [Some(2); 4]);
    // It drains for as long as it may.
    for _ in 0..30 {
        old.metadata.uid = Some("drains".to_owned());
        let until = cluster.now + k8s_openapi::jiff::SignedDuration::from_secs(20);
        old.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(until));
        cluster.pods.retain(|pod| pod.uid() != old.uid());
        cluster.pods.push(old.clone());
        cluster.reconcile();
        assert!(cluster.schemas.values().all(|schema| schema.unwrap().1 == 1));
        cluster.tick();
    }
    assert!(cluster.all_serve(2));
    cluster.until("version 2", Cluster::is_ready);
    assert!(cluster.schemas.values().all(|schema| *schema == Some((2, 2))));
}

#[test]
fn a_contract_that_fails_is_said_and_leaves_all_serving() {
    let mut cluster = serving("1.0.0");
    cluster.images.insert(2, Image::ContractFails);
    cluster.upgrade("2.0.0");
    cluster.go_on();
    assert!(cluster.all_serve(2));
    cluster.says("DatabaseMigrated", "False", "ContractFailed", &["migrate contract of product"]);
    cluster.says("Degraded", "True", "ContractFailed", &[]);
}

/// Survival 10: what is deleted comes back, as what the others are.
#[test]
fn a_deployment_that_is_deleted_comes_back() {
    let mut cluster = serving("1.0.0");
    cluster.delete_deployment(Component::Order);
    cluster.reconcile();
    assert!(!cluster.is_ready());
    cluster.says("Ready", "False", "PodsNotReady", &["order: 0 of 1"]);
    assert_eq!(cluster.told(Component::Order), Some(1));
    cluster.until_ready();
    // In the middle of an upgrade that is blocked it is the old version that comes back.
    cluster.images.insert(2, Image::MigrationFails);
    cluster.upgrade("2.0.0");
    cluster.go_on();
    cluster.delete_deployment(Component::User);
    cluster.go_on();
    assert_eq!(cluster.serving(Component::User), [1]);
}

/// Survival 27: an edit that changes no pod gets through at once, also while an upgrade is blocked.
#[test]
fn the_number_of_pods_may_change_while_an_upgrade_is_blocked() {
    let mut cluster = serving("1.0.0");
    cluster.images.insert(2, Image::MigrationFails);
    cluster.upgrade("2.0.0");
    cluster.go_on();
    cluster.edit(|shop| shop.spec.services.order.replicas = Some(3));
    cluster.go_on();
    assert_eq!(cluster.serving(Component::Order), [1, 1, 1]);
    // What would replace pods waits for the upgrade.
    let resources = fixtures::production().spec.services.user.resources;
    cluster.edit(|shop| shop.spec.services.order.resources = resources);
    let pods = |cluster: &Cluster| {
        let pods = cluster.pods.iter().filter(|pod| crate::rollout::pods::component(pod).is_some());
        pods.filter_map(ResourceExt::uid).collect::<Vec<_>>()
    };
    let before = pods(&cluster);
    cluster.go_on();
    assert_eq!(pods(&cluster), before);
}

/// Another password, or another server: it is tried by a migration before any pod depends on it.
#[test]
fn another_database_is_migrated_before_pods_use_it() {
    let mut cluster = serving("1.0.0");
    cluster.references.insert(DatabaseService::Order, super::cluster::found("second"));
    cluster.schemas.insert(DatabaseService::Order, None);
    cluster.images.insert(1, Image::MigrationFails);
    cluster.go_on();
    cluster.says("DatabaseMigrated", "False", "MigrationFailed", &["migrate up of order"]);
    assert!(cluster.all_serve(1));
    cluster.images.clear();
    for name in cluster.job_names() {
        cluster.delete_job(&name);
    }
    let before = cluster.deployments.order.clone();
    cluster.until_ready();
    assert_ne!(cluster.deployments.order, before);
    assert_eq!(cluster.schemas[&DatabaseService::Order], Some((1, 1)));
}

/// Survival 11: from the spec to the autoscaler and back, there is never a pod less.
#[test]
fn an_autoscaler_takes_over_without_a_dip() {
    let mut cluster = serving("1.0.0");
    cluster.edit(|shop| shop.spec.services.order.replicas = Some(4));
    cluster.until_ready();
    let autoscaling = fixtures::production().spec.services.product.autoscaling;
    cluster.edit(|shop| {
        shop.spec.services.order.replicas = None;
        shop.spec.services.order.autoscaling = autoscaling;
    });
    for _ in 0..20 {
        cluster.reconcile();
        assert_eq!(cluster.deployments.order.as_ref().unwrap().spec.as_ref().unwrap().replicas, Some(4));
        cluster.tick();
        assert_eq!(cluster.ready(Component::Order), 4);
    }
    cluster.until_ready();
    cluster.autoscale(Component::Order, 6);
    cluster.tick();
    // More pods than there are yet is an autoscaler's everyday life, not a fault.
    cluster.reconcile();
    assert!(cluster.ready(Component::Order) < 6 && cluster.is_ready());
    for _ in 0..20 {
        cluster.reconcile();
        cluster.tick();
    }
    assert_eq!(cluster.ready(Component::Order), 6);
    cluster.edit(|shop| {
        shop.spec.services.order.autoscaling = None;
        shop.spec.services.order.replicas = Some(2);
    });
    cluster.until_ready();
    assert_eq!(cluster.ready(Component::Order), 2);
}
