//! The settings that hold until Consul has given some.

use k8s_openapi::api::core::v1::ConfigMap;

use super::names;
use crate::shop::Shop;

pub(super) fn build(shop: &Shop, settings: &str) -> Vec<ConfigMap> {
    vec![ConfigMap {
        metadata: names::metadata(shop, names::settings(shop), names::shared_labels(shop)),
        data: Some([(names::SETTINGS_KEY.to_owned(), settings.to_owned())].into()),
        ..ConfigMap::default()
    }]
}
