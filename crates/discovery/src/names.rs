//! What a shop's things are called in Consul.

use std::collections::HashMap;

use shop_consul::ServiceInstance;
use shop_types::new_id;

use crate::options::{DiscoveryOptions, Registration};

/// Who writes these entries, for those who clear up: nobody else's are touched.
const OWNER: &str = "shop";

/// Keys of the metadata of an instance.
const META_OWNER: &str = "owner";
const META_SHOP_UID: &str = "shop_uid";
const META_NAMESPACE: &str = "namespace";
const META_VERSION: &str = "version";
const META_INCARNATION: &str = "incarnation";

/// The shop, as Consul knows it. Its parts were checked where they were read: none can break out of a URL or a filter.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    shop: String,
    namespace: String,
    uid: String,
    mode: Registration,
}

impl Names {
    pub(crate) fn new(options: &DiscoveryOptions, shop_uid: &str) -> Self {
        Self {
            shop: options.shop_name.clone(),
            namespace: options.shop_namespace.clone(),
            uid: shop_uid.to_owned(),
            mode: options.consul_registration,
        }
    }

    /// The service's name.
    pub(crate) fn service(&self, service: &str) -> String {
        format!("{}-{service}", self.shop)
    }

    /// The node that stands for the shop.
    pub(crate) fn node(&self) -> String {
        format!("shop-{}", self.uid)
    }

    /// Where the settings are.
    pub(crate) fn settings_key(&self) -> String {
        format!("shops/{}/{}/config", self.namespace, self.shop)
    }

    /// Leaves out what another shop, or whoever else may write services, registered under the same name.
    pub(crate) fn filter(&self) -> String {
        match self.mode {
            Registration::Catalog => format!(r#"Node.Node == "{}""#, self.node()),
            Registration::Agent => format!(r#"Service.Meta.{META_SHOP_UID} == "{}""#, self.uid),
        }
    }

    /// The same for one instance.
    pub(crate) fn filter_for(&self, id: &str) -> String {
        format!(r#"{} and Service.ID == "{id}""#, self.filter())
    }

    /// What the node tells.
    pub(crate) fn node_meta(&self) -> HashMap<String, String> {
        [(META_OWNER, OWNER), (META_SHOP_UID, &self.uid), (META_NAMESPACE, &self.namespace), ("shop", &self.shop)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    /// What this process tells of itself, and what tells it from the one before at its address.
    pub(crate) fn instance_meta(&self) -> (HashMap<String, String>, String) {
        let incarnation = new_id().to_string();
        let mut meta = self.node_meta();
        meta.insert(META_VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        meta.insert(META_INCARNATION.to_owned(), incarnation.clone());
        (meta, incarnation)
    }
}

/// What tells one run of an instance from the next; ids that were made later sort after.
pub(crate) fn incarnation(instance: &ServiceInstance) -> Option<&str> {
    instance.meta.get(META_INCARNATION).map(String::as_str)
}
