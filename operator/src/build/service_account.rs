//! The account that the pods run under, which may do nothing.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::names;
use crate::shop::Shop;

pub(super) fn build(shop: &Shop) -> Vec<ServiceAccount> {
    vec![ServiceAccount {
        metadata: names::metadata(shop, names::service_account(shop), names::shared_labels(shop)),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }]
}
