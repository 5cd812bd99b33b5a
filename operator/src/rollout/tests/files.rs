//! Shops whose databases are files.

use kube::ResourceExt as _;

use super::cluster::{Cluster, Image};
use crate::{
    build::names,
    fixtures,
    shop::{Component, Phase},
};

fn serving() -> Cluster {
    let mut cluster = Cluster::new(fixtures::smallest());
    cluster.until_ready();
    cluster
}

#[test]
fn a_new_shop_needs_no_job() {
    let mut cluster = Cluster::new(fixtures::smallest());
    cluster.reconcile();
    assert!(cluster.jobs.is_empty());
    assert_eq!(cluster.claims.len(), 3);
    assert_eq!(cluster.told_all(), [Some(1); 4]);
    cluster.until_ready();
    let services = &cluster.decision.as_ref().unwrap().services;
    assert!(services.iter().all(|service| service.name == "gateway" || service.schema == Some(1)), "{services:?}");
}

#[test]
fn an_upgrade_tries_the_images_first_and_then_replaces_one_after_the_other() {
    let mut cluster = serving();
    cluster.upgrade("2.0.0");
    cluster.reconcile();
    assert!(cluster.jobs.iter().all(|job| job.labels()[names::TASK_LABEL] == "preflight") && cluster.jobs.len() == 3);
    assert_eq!(cluster.told_all(), [Some(1); 4]);
    cluster.until("version 2", |cluster| cluster.is_ready() && cluster.all_serve(2));
    // The way back stays open.
    assert!(cluster.schemas.values().all(|schema| *schema == Some((2, 1))));
    cluster.go_on();
    let left = cluster.deployments.order.as_ref().unwrap().annotations();
    assert!(!left.contains_key(names::PREVIOUS_IMAGE), "{left:?}");
    cluster.upgrade("1.0.0");
    cluster.until("version 1", |cluster| cluster.is_ready() && cluster.all_serve(1));
}

#[test]
fn an_image_that_can_not_be_had_takes_nothing_down() {
    let mut cluster = serving();
    cluster.images.insert(2, Image::Missing);
    cluster.upgrade("2.0.0");
    cluster.go_on();
    assert!(cluster.all_serve(1) && cluster.told_all() == [Some(1); 4]);
    cluster.says("Degraded", "True", "ImagePullBackOff", &["the preflight of product", "product:2.0.0"]);
    cluster.upgrade("1.0.0");
    cluster.until_ready();
}

/// Survival 26 on a file: the copy is put back by the step itself, the image by the operator.
#[test]
fn a_version_that_does_not_come_up_makes_way_for_the_one_before() {
    for (image, words) in [(Image::MigrationFails, "column is in use"), (Image::Crashes, "out of luck")] {
        let mut cluster = serving();
        cluster.images.insert(2, image);
        cluster.upgrade("2.0.0");
        cluster.go_on();
        assert!(cluster.all_serve(1), "{:?}", cluster.told_all());
        cluster.says("Degraded", "True", "TakenBack", &["product", "product:2.0.0", words]);
        cluster.says("Progressing", "False", "Blocked", &[]);
        assert_eq!(cluster.phase(), Phase::Degraded);
        let made = cluster.deployments.product.as_ref().unwrap().metadata.generation;
        // It is not tried again, until something about it is different.
        cluster.go_on();
        assert_eq!(cluster.deployments.product.as_ref().unwrap().metadata.generation, made);
        cluster.images.insert(2, Image::Good);
        cluster.go_on();
        assert!(cluster.all_serve(1));
        let resources = fixtures::production().spec.services.user.resources;
        cluster.edit(|shop| shop.spec.services.product.resources = resources);
        cluster.until("version 2", |cluster| cluster.is_ready() && cluster.all_serve(2));
        let left = cluster.deployments.product.as_ref().unwrap().annotations();
        assert!(!left.contains_key(names::FAILED_IMAGE), "{left:?}");
    }
}

#[test]
fn a_corrected_version_follows_one_that_was_taken_back() {
    let mut cluster = serving();
    cluster.images.insert(2, Image::MigrationFails);
    cluster.upgrade("2.0.0");
    cluster.go_on();
    cluster.upgrade("3.0.0");
    cluster.until("version 3", |cluster| cluster.is_ready() && cluster.all_serve(3));
    let left = cluster.deployments.product.as_ref().unwrap().annotations();
    assert!(!left.contains_key(names::FAILED_IMAGE), "{left:?}");
}

#[test]
fn there_is_one_pod_whatever_the_spec_says() {
    let mut shop = fixtures::smallest();
    shop.spec.services = fixtures::production().spec.services;
    let mut cluster = Cluster::new(shop);
    cluster.until_ready();
    for component in [Component::User, Component::Product, Component::Order] {
        assert_eq!(cluster.ready(component), 1);
    }
    let children = cluster.children.as_ref().unwrap();
    assert!(children.autoscalers.is_empty() && children.disruption_budgets.is_empty());
}

#[test]
fn volumes_of_an_earlier_shop_are_used_only_when_told_to() {
    let mut cluster = serving();
    cluster.deployments = crate::shop::Components::default();
    cluster.pods.clear();
    cluster.shop.metadata.uid = Some("another".to_owned());
    cluster.shop.status = None;
    cluster.go_on();
    assert_eq!(cluster.phase(), Phase::Pending);
    cluster.says("Degraded", "True", "VolumeConflict", &["demo-product-data", names::ADOPT]);
    assert_eq!(cluster.told_all(), [None, None, None, Some(1)], "only what has no file");
    assert!(cluster.children.as_ref().unwrap().claims.is_empty());
    cluster.shop.metadata.annotations = Some([(names::ADOPT.to_owned(), "true".to_owned())].into());
    cluster.until_ready();
    let claims = &cluster.children.as_ref().unwrap().claims;
    assert!(claims.iter().all(|claim| claim.annotations()[names::SHOP_UID] == "another"));
}

/// Survival 8: what can't change is said, and asked for no more.
#[test]
fn a_volume_neither_shrinks_nor_changes_its_class() {
    let mut cluster = serving();
    let sqlite = |storage: &str, class: Option<&str>| {
        Some(crate::shop::Sqlite { storage: Some(storage.to_owned()), storage_class_name: class.map(str::to_owned) })
    };
    cluster.edit(|shop| shop.spec.database.sqlite = sqlite("2Gi", None));
    cluster.until_ready();
    let storage = |cluster: &Cluster| {
        let claim = cluster.children.as_ref().unwrap().claims[0].spec.clone().unwrap();
        (claim.resources.unwrap().requests.unwrap()["storage"].0.clone(), claim.storage_class_name)
    };
    assert_eq!(storage(&cluster), ("2Gi".to_owned(), None));
    cluster.edit(|shop| shop.spec.database.sqlite = sqlite("512Mi", None));
    cluster.reconcile();
    cluster.says("Degraded", "True", "VolumeImmutable", &["spec.database.sqlite.storage", "can't shrink from 1Gi"]);
    assert_eq!(storage(&cluster), ("1Gi".to_owned(), None));
    // Nothing waits for it.
    cluster.upgrade("2.0.0");
    cluster.until("version 2", |cluster| cluster.all_serve(2));
    cluster.says("Degraded", "True", "VolumeImmutable", &["demo-user-data", "demo-product-data", "demo-order-data"]);
    cluster.edit(|shop| shop.spec.database.sqlite = sqlite("1Gi", None));
    cluster.until_ready();
    cluster.edit(|shop| shop.spec.database.sqlite = sqlite("1Gi", Some("fast")));
    cluster.reconcile();
    cluster.says("Degraded", "True", "VolumeImmutable", &["spec.database.sqlite.storageClassName"]);
    assert_eq!(storage(&cluster), ("1Gi".to_owned(), None));
    assert!(cluster.all_serve(2));
}
