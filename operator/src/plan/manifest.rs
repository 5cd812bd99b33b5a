//! Files as `kubectl apply` takes them, as far as they are about Shops.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;

use crate::cluster::Object;

/// A file larger than this is no manifest.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// What of a file matters here.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) shops: Vec<Object>,
    pub(super) secrets: Vec<Secret>,
}

/// Reads the documents of a file, or with `-` of stdin.
pub(super) fn read(path: &Path, namespace: &str) -> anyhow::Result<Manifest> {
    let mut text = String::new();
    let reader: Box<dyn io::Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(fs::File::open(path).with_context(|| format!("{} can't be read", path.display()))?),
    };
    reader.take(MAX_BYTES).read_to_string(&mut text).with_context(|| format!("{} can't be read", path.display()))?;
    parse(&text, namespace).with_context(|| format!("{} is no manifest of a Shop", path.display()))
}

fn parse(text: &str, namespace: &str) -> anyhow::Result<Manifest> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
    let mut manifest = Manifest { shops: Vec::new(), secrets: Vec::new() };
    for mut document in documents {
        let group = document["apiVersion"].as_str().unwrap_or_default().split('/').next().unwrap_or_default();
        match (group, document["kind"].as_str().unwrap_or_default()) {
            ("shop-operator.io", "Shop") => {
                if document["metadata"]["namespace"].is_null() {
                    document["metadata"]["namespace"] = namespace.into();
                }
                let shop: Object = serde_json::from_value(document)?;
                if shop.metadata.name.as_deref().unwrap_or_default().is_empty() {
                    bail!("a Shop in it has no metadata.name");
                }
                manifest.shops.push(shop);
            }
            ("v1", "Secret") => manifest.secrets.push(serde_json::from_value(document)?),
            _ => {}
        }
    }
    if manifest.shops.is_empty() {
        bail!("there is no Shop in it");
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shops_and_secrets_are_picked_out_of_several_documents() {
        let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {user: u}\n---\n\
                    apiVersion: shop-operator.io/v1alpha1\nkind: Shop\nmetadata: {name: demo}\nspec: {version: '1'}\n---\n\
                    apiVersion: v1\nkind: Service\nmetadata: {name: other}\n";
        let manifest = parse(text, "here").unwrap();
        assert_eq!(manifest.shops.len(), 1);
        assert_eq!(manifest.shops[0].metadata.namespace.as_deref(), Some("here"));
        assert_eq!(manifest.secrets[0].metadata.name.as_deref(), Some("db"));
    }

    #[test]
    fn a_file_without_a_shop_is_told_apart_from_one_that_is_no_yaml() {
        assert!(parse("kind: Service\n", "here").unwrap_err().to_string().contains("no Shop"));
        assert!(parse("{", "here").is_err());
        let nameless = "apiVersion: shop-operator.io/v1alpha1\nkind: Shop\nspec: {}\n";
        assert!(parse(nameless, "here").unwrap_err().to_string().contains("metadata.name"));
    }
}
