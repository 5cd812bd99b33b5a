//! Signing keys: a Secret for each process, which only its pods mount, and one bundle of the public halves.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use serde_json::json;
use shop_auth::{
    KeyError,
    keys::{SigningDocument, bundle_of},
};
use shop_types::Instant;

use super::{SecretsError, Store};
use crate::{
    build::names::{SIGNING_KEYS_KEY, keys, signing_keys},
    cluster::{FIELD_MANAGER, Kind},
    names,
    shop::Component,
};

/// Why keys can't be made or read.
pub type SigningKeysError = KeyError;

struct Held {
    component: Component,
    secret: Secret,
    document: SigningDocument,
    changed: bool,
}

/// Makes the keys that are missing, takes the steps of a rotation that are due, and returns the bundle.
pub(super) async fn ensure(store: &Store<'_>) -> Result<String, SecretsError> {
    let mut held = Vec::with_capacity(Component::ROLL_ORDER.len());
    for component in Component::ROLL_ORDER {
        held.push(read(store, component).await?);
    }
    rotate(store, &mut held).await?;
    Ok(bundle_of(held.iter().map(|held| &held.document)))
}

async fn read(store: &Store<'_>, component: Component) -> Result<Held, SecretsError> {
    let name = signing_keys(store.shop, component);
    let make = || {
        let document = SigningDocument::generate(component.name(), Instant::now())
            .map_err(|error| SecretsError::Generate(Box::new(error)))?;
        Ok([(SIGNING_KEYS_KEY, document.to_json())].into())
    };
    let secret = store.own(&name, make).await?;
    let document = SigningDocument::parse(component.name(), &Store::value(&secret, SIGNING_KEYS_KEY)?)
        .map_err(|error| SecretsError::Unusable { name, key: SIGNING_KEYS_KEY, reason: error.to_string() })?;
    Ok(Held { component, secret, document, changed: false })
}

/// Forgets what is retired and, where the Shop asks for it, makes the next keys: published first, signed with five minutes
/// later, when every process has read the bundle.
async fn rotate(store: &Store<'_>, held: &mut [Held]) -> Result<(), SecretsError> {
    let wanted = store.shop.annotations().get(names::ROTATE_KEYS);
    let now = Instant::now();
    for held in held.iter_mut() {
        held.changed = held.document.forget_retired(now);
        if wanted.is_some() && held.secret.annotations().get(names::ROTATED_FOR) != wanted {
            held.document.rotate(now).map_err(|error| SecretsError::Generate(Box::new(error)))?;
            held.changed = true;
        }
    }
    if !held.iter().any(|held| held.changed) {
        return Ok(());
    }
    // A crash after this leaves public keys that nothing is signed with; the next bundle is made without them.
    let bundle = super::bundle_object(store.shop, &bundle_of(held.iter().map(|held| &held.document)));
    let object = serde_json::to_value(&bundle).map_err(|error| SecretsError::Generate(Box::new(error)))?;
    let name = keys(store.shop);
    let applied = store.cluster.apply(Kind::ConfigMap, store.namespace(), &name, FIELD_MANAGER, &object).await;
    applied.map_err(SecretsError::Api)?;
    for held in held.iter().filter(|held| held.changed) {
        let name = signing_keys(store.shop, held.component);
        let patch = json!({
            "metadata": {
                "resourceVersion": held.secret.metadata.resource_version,
                "annotations": {names::ROTATED_FOR: wanted},
            },
            "stringData": {SIGNING_KEYS_KEY: held.document.to_json()},
        });
        store.cluster.merge(Kind::Secret, store.namespace(), &name, &patch).await.map_err(SecretsError::Api)?;
        tracing::info!(
            shop.namespace = store.namespace(),
            shop.name = names::name_of(store.shop),
            process.name = held.component.name(),
            "Changed the signing keys."
        );
    }
    Ok(())
}
