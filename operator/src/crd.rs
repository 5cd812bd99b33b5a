//! The CustomResourceDefinition, as `shop-operator crd` prints it and the chart installs it.

use kube::CustomResourceExt as _;

use crate::shop::Shop;

/// The definition as YAML. It asks Helm to keep it when the operator is uninstalled: with it would go every Shop.
pub fn yaml() -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&Shop::crd())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `make generate` writes it anew.
    #[test]
    fn the_committed_definition_is_that_of_the_types() {
        let path = "../charts/shop-operator/files/crd.yaml";
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == yaml().unwrap(),
            "{path} differs from what `shop-operator crd` prints: run `make generate`"
        );
    }
}
