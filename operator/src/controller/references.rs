//! What the spec names in Secrets of its namespace.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, stream};
use k8s_openapi::{ByteString, api::core::v1::Secret};

use crate::{
    build::digest,
    cluster::{ApiError, Cluster, Kind},
    names,
    observed::Reference,
    registry::{Access, RegistryError},
    shop::{DatabaseService, SecretKeyReference, Shop},
};

/// Secrets read at once.
const CONCURRENT_READS: usize = 4;

/// The values, and what stands in for those that are not to be had.
#[derive(Debug)]
pub(super) struct Values(BTreeMap<SecretKeyReference, Value>);

#[derive(Debug)]
struct Value {
    reference: Reference,
    content: Option<ByteString>,
}

/// Reads what the spec names. A Secret that can't be read is unknown, which stops what needs it and nothing else.
pub(super) async fn read_references(cluster: &Cluster, shop: &Shop) -> Result<Values, ApiError> {
    let references = named(shop);
    let secrets: BTreeSet<_> = references.iter().map(|reference| reference.name.clone()).collect();
    let read = stream::iter(secrets).map(|name| async move {
        let read = cluster.get(Kind::Secret, names::namespace_of(shop), &name).await;
        (name, read.map(|object| object.and_then(|object| object.try_parse::<Secret>().ok())))
    });
    let secrets: BTreeMap<_, _> = read.buffer_unordered(CONCURRENT_READS).collect().await;
    let value = |reference: &SecretKeyReference| match secrets.get(&reference.name) {
        Some(Ok(Some(secret))) => {
            let content = secret.data.as_ref().and_then(|data| data.get(&reference.key)).cloned();
            let reference = content.as_ref().map_or(Reference::NoKey, |content| Reference::Found {
                digest: digest(&[content.0.as_slice()]),
                port: port_of(&content.0),
            });
            Value { reference, content }
        }
        Some(Err(error)) => Value { reference: Reference::Unknown(error.to_string()), content: None },
        Some(Ok(None)) | None => Value { reference: Reference::NoSecret, content: None },
    };
    Ok(Values(references.into_iter().map(|reference| (reference.clone(), value(reference))).collect()))
}

fn named(shop: &Shop) -> Vec<&SecretKeyReference> {
    let consul = &shop.spec.consul;
    let databases = DatabaseService::ALL.into_iter().filter_map(|service| shop.spec.database.url_of(service));
    [&consul.operator_token_secret_ref, &consul.service_token_secret_ref, &consul.ca_secret_ref]
        .into_iter()
        .flatten()
        .chain(databases)
        .collect()
}

/// The port that a URL names.
pub(super) fn port_of(content: &[u8]) -> Option<u16> {
    std::str::from_utf8(content).ok()?.trim().parse::<http::Uri>().ok()?.port_u16()
}

impl Values {
    /// How each stands.
    pub(super) fn references(&self) -> BTreeMap<SecretKeyReference, Reference> {
        self.0.iter().map(|(reference, value)| (reference.clone(), value.reference.clone())).collect()
    }

    /// The digest of a value; `None` while it can't be told.
    pub(super) fn digest(&self, reference: &SecretKeyReference) -> Option<&str> {
        match &self.0.get(reference)?.reference {
            Reference::Found { digest, .. } => Some(digest),
            Reference::NoKey | Reference::NoSecret | Reference::Unknown(_) => None,
        }
    }

    /// How the operator reaches the Shop's Consul.
    pub(super) fn consul_access(&self, shop: &Shop) -> Result<Access, RegistryError> {
        let consul = &shop.spec.consul;
        let token = self.content(consul.operator_token_secret_ref.as_ref(), "spec.consul.operatorTokenSecretRef")?;
        let authority = self.content(consul.ca_secret_ref.as_ref(), "spec.consul.caSecretRef")?;
        let token = token.map(|token| match std::str::from_utf8(&token.0).map(str::trim) {
            // It travels in a header.
            Ok(token) if !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic()) => Ok(token.into()),
            _ => Err(RegistryError::Access("spec.consul.operatorTokenSecretRef: the value is no ACL token".to_owned())),
        });
        Ok(Access {
            address: consul.address.clone(),
            token: token.transpose()?,
            authority: authority.map(|authority| authority.0.clone()),
        })
    }

    fn content(
        &self,
        reference: Option<&SecretKeyReference>,
        field: &str,
    ) -> Result<Option<&ByteString>, RegistryError> {
        let Some(reference) = reference else { return Ok(None) };
        let SecretKeyReference { name, key } = reference;
        let fault = match self.0.get(reference) {
            Some(Value { content: Some(content), .. }) => return Ok(Some(content)),
            Some(Value { reference: Reference::Unknown(error), .. }) => error.clone(),
            Some(Value { reference: Reference::NoKey, .. }) => format!("the Secret {name} has no key {key}"),
            _ => format!("there is no Secret {name}"),
        };
        Err(RegistryError::Access(format!("{field}: {fault}")))
    }
}
