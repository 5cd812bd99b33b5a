//! What the cluster has of one Shop: objects with its label, as they are at this moment.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::de::DeserializeOwned;

use crate::{
    cluster::{ApiError, Cluster, Kind, Object},
    names,
    shop::Shop,
};

/// Lists at once for one Shop.
const CONCURRENT_LISTS: usize = 4;

/// Objects of each kind by name.
#[derive(Debug, Default)]
pub(super) struct World {
    objects: BTreeMap<Kind, BTreeMap<String, Object>>,
}

impl World {
    /// Reads all of it, or none: what could not be read is not gone.
    pub(super) async fn read(cluster: &Cluster, shop: &Shop) -> Result<Self, ApiError> {
        let labels = names::selector(shop);
        let lists = Kind::CHILDREN.into_iter().filter(|kind| *kind != Kind::Pod).map(|kind| {
            let labels = labels.as_str();
            async move { Ok((kind, cluster.list(kind, names::namespace_of(shop), labels).await?)) }
        });
        let lists: Vec<_> = stream::iter(lists).buffer_unordered(CONCURRENT_LISTS).try_collect().await?;
        let named = |kind: Kind, mut object: Object| {
            if kind != Kind::Deployment {
                // Half of an object, and read of Deployments alone.
                object.metadata.managed_fields = None;
            }
            Some((object.metadata.name.clone()?, object))
        };
        let by_name = |kind, list: Vec<Object>| list.into_iter().filter_map(|object| named(kind, object)).collect();
        let objects = lists.into_iter().map(|(kind, list)| (kind, by_name(kind, list)));
        Ok(Self { objects: objects.collect() })
    }

    /// The pods of a Shop, which are read apart: after what is compared to them.
    pub(super) async fn pods(cluster: &Cluster, shop: &Shop) -> Result<Vec<Pod>, ApiError> {
        let pods = cluster.list(Kind::Pod, names::namespace_of(shop), &names::selector(shop)).await?;
        Ok(pods.iter().filter_map(typed).collect())
    }

    /// All objects of a kind.
    pub(super) fn all(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.objects.get(&kind).into_iter().flat_map(BTreeMap::values)
    }

    /// One of them.
    pub(super) fn get(&self, kind: Kind, name: &str) -> Option<&Object> {
        self.objects.get(&kind)?.get(name)
    }

    /// Those whose controller is this Shop, typed.
    pub(super) fn owned<K: DeserializeOwned>(&self, kind: Kind, uid: &str) -> Vec<K> {
        self.all(kind).filter(|object| is_controlled_by(&object.metadata, uid)).filter_map(typed).collect()
    }

    /// All of a kind, typed.
    pub(super) fn typed<K: DeserializeOwned>(&self, kind: Kind) -> Vec<K> {
        self.all(kind).filter_map(typed).collect()
    }
}

/// What the server has is of its type; an object that is not would be a newer server's, and is as good as not there.
fn typed<K: DeserializeOwned>(object: &Object) -> Option<K> {
    let parsed = serde_json::to_value(object).and_then(serde_json::from_value);
    parsed
        .inspect_err(
            |error| tracing::warn!(object.name = object.metadata.name, error = %error, "An object can't be read."),
        )
        .ok()
}

/// Whether this uid is an object's controller.
pub(super) fn is_controlled_by(metadata: &ObjectMeta, uid: &str) -> bool {
    metadata.owner_references.iter().flatten().any(|owner| owner.controller == Some(true) && owner.uid == uid)
}
