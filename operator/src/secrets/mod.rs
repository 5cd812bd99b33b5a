//! What a shop keeps to itself: signing keys of each process, secrets that processes share, the first admin's password.
//! Each is made once and never written over: a Secret that can't be read, or lacks something, is left as it is.

mod keys;
mod random;

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;

use crate::{
    build::{
        digest,
        names::{
            ADMIN_EMAIL_KEY, ADMIN_PASSWORD_KEY, CURSOR_SECRET_KEY, EVENT_SECRET_KEY, KEYS_KEY,
            PAYMENT_WEBHOOK_SECRET_KEY, SHOP_LABEL, SHOP_UID, admin, keys as key_bundle, secrets as shared_secrets,
            shared_labels,
        },
    },
    cluster::{ApiError, Cluster, Kind, Object},
    names,
    observed::{Conflict, Scope},
    shop::{Component, Components, Shop},
};

pub use keys::SigningKeysError;

/// Why a shop's secrets are not as they must be.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The API server.
    #[error(transparent)]
    Api(ApiError),
    /// Something else has the name.
    #[error("{what} belongs to {owner}")]
    Foreign {
        /// What it is.
        what: String,
        /// Whose it is.
        owner: String,
    },
    /// A Secret that was made here lacks something.
    #[error(
        "the Secret {name} has no usable {key}: {reason}; put it back, or delete the Secret to have another one made"
    )]
    Unusable {
        /// Its name.
        name: String,
        /// What it lacks.
        key: &'static str,
        /// Why it can't be used. Never its content.
        reason: String,
    },
    /// There is no randomness, or no key can be made.
    #[error("no secret can be made")]
    Generate(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What a shop has.
#[derive(Debug)]
pub struct ShopSecrets {
    /// The public keys of all processes, to be published.
    pub bundle: String,
    /// By process, the digest of what its pods read from these only when they start.
    pub digests: Components<String>,
    /// What belongs to an earlier Shop of this name.
    pub conflicts: Vec<Conflict>,
}

/// Makes what is missing and reads the rest. `listed` are the Secrets with the shop's labels.
pub async fn ensure(cluster: &Cluster, shop: &Shop, listed: &[Object]) -> Result<ShopSecrets, SecretsError> {
    let store = Store { cluster, shop, listed };
    let shared = store
        .own(&shared_secrets(shop), || {
            let secret = || random::hex(32);
            Ok([(CURSOR_SECRET_KEY, secret()?), (PAYMENT_WEBHOOK_SECRET_KEY, secret()?), (EVENT_SECRET_KEY, secret()?)]
                .into())
        })
        .await?;
    for key in [CURSOR_SECRET_KEY, PAYMENT_WEBHOOK_SECRET_KEY, EVENT_SECRET_KEY] {
        Store::value(&shared, key)?;
    }
    let bundle = keys::ensure(&store).await?;
    let conflicts = store.admin().await?;
    let data = shared.data.unwrap_or_default();
    let digest_of = |component: Component| {
        let read: &[&str] = match component {
            Component::User | Component::Product => &[CURSOR_SECRET_KEY],
            Component::Order => &[CURSOR_SECRET_KEY, PAYMENT_WEBHOOK_SECRET_KEY, EVENT_SECRET_KEY],
            Component::Gateway => &[],
        };
        digest(&read.iter().filter_map(|key| data.get(*key)).map(|value| value.0.as_slice()).collect::<Vec<_>>())
    };
    Ok(ShopSecrets { bundle, digests: Components::from_fn(digest_of), conflicts })
}

/// The ConfigMap with the public keys.
pub fn bundle_object(shop: &Shop, bundle: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(key_bundle(shop)),
            owner_references: shop.controller_owner_ref(&()).map(|owner| vec![owner]),
            labels: Some(shared_labels(shop)),
            ..ObjectMeta::default()
        },
        data: Some([(KEYS_KEY.to_owned(), bundle.to_owned())].into()),
        ..ConfigMap::default()
    }
}

type Values = BTreeMap<&'static str, String>;

/// The Secrets of one Shop.
struct Store<'a> {
    cluster: &'a Cluster,
    shop: &'a Shop,
    listed: &'a [Object],
}

impl Store<'_> {
    fn namespace(&self) -> &str {
        names::namespace_of(self.shop)
    }

    /// A Secret that goes with its Shop.
    async fn own(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Values, SecretsError>,
    ) -> Result<Secret, SecretsError> {
        let owner = self.shop.controller_owner_ref(&());
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            owner_references: owner.map(|owner| vec![owner]),
            labels: Some(shared_labels(self.shop)),
            ..ObjectMeta::default()
        };
        let secret = self.existing_or_new(metadata, make).await?;
        let uid = names::uid_of(self.shop);
        let ours = secret.owner_references().iter().any(|owner| owner.controller == Some(true) && owner.uid == uid);
        if ours { Ok(secret) } else { Err(foreign(name, &secret.metadata)) }
    }

    /// The admin's Secret, which outlives its Shop.
    async fn admin(&self) -> Result<Vec<Conflict>, SecretsError> {
        let name = admin(self.shop);
        let uid = names::uid_of(self.shop);
        let metadata = ObjectMeta {
            name: Some(name.clone()),
            labels: Some(shared_labels(self.shop)),
            annotations: Some([(SHOP_UID.to_owned(), uid.to_owned())].into()),
            ..ObjectMeta::default()
        };
        let make = || {
            let email = format!("admin@{}.example", names::name_of(self.shop));
            Ok([(ADMIN_EMAIL_KEY, email), (ADMIN_PASSWORD_KEY, random::hex(16)?)].into())
        };
        let secret = self.existing_or_new(metadata, make).await?;
        for key in [ADMIN_EMAIL_KEY, ADMIN_PASSWORD_KEY] {
            Self::value(&secret, key)?;
        }
        let holder = secret.annotations().get(SHOP_UID);
        if holder.is_some_and(|holder| holder == uid) {
            return Ok(Vec::new());
        }
        let Some(holder) = holder.filter(|_| secret.labels().get(SHOP_LABEL).is_some()) else {
            return Err(foreign(&name, &secret.metadata));
        };
        if names::adopts(self.shop) {
            let version = secret.metadata.resource_version.as_deref();
            let patch = json!({"metadata": {
                "resourceVersion": version,
                "annotations": {SHOP_UID: uid},
            }});
            self.cluster.merge(Kind::Secret, self.namespace(), &name, &patch).await.map_err(SecretsError::Api)?;
            return Ok(Vec::new());
        }
        let owner = format!("an earlier Shop of this name (uid {holder})");
        Ok(vec![Conflict { what: format!("the Secret {name}"), owner, reason: "VolumeConflict", scope: Scope::Shop }])
    }

    async fn existing_or_new(
        &self,
        metadata: ObjectMeta,
        make: impl FnOnce() -> Result<Values, SecretsError>,
    ) -> Result<Secret, SecretsError> {
        let name = metadata.name.clone().unwrap_or_default();
        if let Some(listed) = self.listed.iter().find(|object| object.metadata.name.as_deref() == Some(&name)) {
            return Self::read(listed, &name);
        }
        // It may be there without our labels.
        let found = self.cluster.get(Kind::Secret, self.namespace(), &name).await.map_err(SecretsError::Api)?;
        if let Some(found) = found {
            return Self::read(&found, &name);
        }
        let data = make()?.into_iter().map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes()))).collect();
        let secret = Secret { metadata, data: Some(data), ..Secret::default() };
        let object = erase(&secret)?;
        // If somebody was faster it is a conflict, and the next time theirs is read.
        let created = self.cluster.create(Kind::Secret, self.namespace(), &object).await.map_err(SecretsError::Api)?;
        tracing::info!(
            shop.namespace = self.namespace(),
            shop.name = names::name_of(self.shop),
            secret.name = name,
            "Made a Secret."
        );
        Self::read(&created, &name)
    }

    fn read(object: &Object, name: &str) -> Result<Secret, SecretsError> {
        object.clone().try_parse().map_err(|_| SecretsError::Unusable {
            name: name.to_owned(),
            key: "data",
            reason: "it can't be read".to_owned(),
        })
    }

    fn value(secret: &Secret, key: &'static str) -> Result<String, SecretsError> {
        let unusable =
            |reason: &str| SecretsError::Unusable { name: secret.name_any(), key, reason: reason.to_owned() };
        let value = secret.data.as_ref().and_then(|data| data.get(key)).ok_or_else(|| unusable("it is not there"))?;
        match String::from_utf8(value.0.clone()) {
            Ok(text) if !text.is_empty() => Ok(text),
            _ => Err(unusable("it is no text")),
        }
    }
}

fn erase(secret: &Secret) -> Result<Object, SecretsError> {
    let generate = |error: serde_json::Error| SecretsError::Generate(Box::new(error));
    serde_json::to_value(secret).and_then(serde_json::from_value).map_err(generate)
}

fn foreign(name: &str, metadata: &ObjectMeta) -> SecretsError {
    let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    SecretsError::Foreign {
        what: format!("the Secret {name}"),
        owner: owner
            .map_or("somebody else".to_owned(), |owner| format!("{} {} (uid {})", owner.kind, owner.name, owner.uid)),
    }
}
