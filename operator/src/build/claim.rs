//! Volumes of SQLite files.

use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::ResourceExt as _;

use super::{ClaimPlan, names};
use crate::shop::Shop;

pub(super) fn build(shop: &Shop, plans: &[ClaimPlan]) -> Vec<PersistentVolumeClaim> {
    plans.iter().map(|plan| claim(shop, plan)).collect()
}

fn claim(shop: &Shop, plan: &ClaimPlan) -> PersistentVolumeClaim {
    let labels = names::process_labels(shop, plan.service.component());
    let mut metadata = names::metadata(shop, names::claim(shop, plan.service), labels);
    // Data outlives the resource: without an owner it is not collected, and the annotation tells whose it is.
    metadata.owner_references = None;
    metadata.annotations = Some([(names::SHOP_UID.to_owned(), shop.uid().unwrap_or_default())].into());
    PersistentVolumeClaim {
        metadata,
        spec: Some(PersistentVolumeClaimSpec {
            // The file is one pod's, not one node's: two pods on a node would share a ReadWriteOnce volume.
            access_modes: Some(vec!["ReadWriteOncePod".to_owned()]),
            storage_class_name: plan.storage_class.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), Quantity(plan.storage.clone()))].into()),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}
