//! How the parts with effects ask for what [`crate::build::names`] names.

use kube::ResourceExt as _;

use crate::{build::names, shop::Shop};

/// Who made an object.
pub(crate) const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// On a Shop: another value than before makes new signing keys.
pub(crate) const ROTATE_KEYS: &str = "shop-operator.io/rotate-keys";
/// On a Secret with signing keys: the value of the Shop's annotation that its last new key was made for.
pub(crate) const ROTATED_FOR: &str = "shop-operator.io/rotated-for";
/// On what was applied: its digest. What is built otherwise has another, which is a difference though a field may be gone.
pub(crate) const APPLIED: &str = "shop-operator.io/applied";
/// Keeps a Shop until what it has in Consul is gone.
pub(crate) const FINALIZER: &str = "shop-operator.io/consul";

/// A Shop's name.
pub(crate) fn name_of(shop: &Shop) -> &str {
    shop.metadata.name.as_deref().unwrap_or_default()
}

/// Its namespace.
pub(crate) fn namespace_of(shop: &Shop) -> &str {
    shop.metadata.namespace.as_deref().unwrap_or_default()
}

/// Both.
pub(crate) fn key_of(shop: &Shop) -> String {
    format!("{}/{}", namespace_of(shop), name_of(shop))
}

/// Its uid.
pub(crate) fn uid_of(shop: &Shop) -> &str {
    shop.metadata.uid.as_deref().unwrap_or_default()
}

/// Whether it may take over what an earlier one of its name left.
pub(crate) fn adopts(shop: &Shop) -> bool {
    shop.annotations().get(names::ADOPT).is_some_and(|value| value == "true")
}

/// The selector of what belongs to a Shop.
pub(crate) fn selector(shop: &Shop) -> String {
    format!("{}={}", names::SHOP_LABEL, name_of(shop))
}
