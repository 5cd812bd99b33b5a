//! A Shop goes: its processes first, so that none comes back to Consul, then what it has there, then the Shop itself. Volumes
//! and the admin's Secret stay; all else goes with its owner. Nothing waits for longer than a bound.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::json;

use super::{
    Context, problem,
    queue::Outcome,
    references::read_references,
    update_status::update_status,
    world::{World, is_controlled_by},
};
use crate::{
    cluster::{ApiError, Kind, Target},
    names,
    registry::{Registry, RegistryError},
    shop::{ConditionType, Phase, Shop},
};

/// How long pods get to leave: their grace period and a little. Those of a dead node stay for ever.
const PODS_BOUND: Duration = Duration::from_secs(45);
/// How long Consul gets to let go of the shop, from the deletion on.
const CONSUL_BOUND: Duration = Duration::from_mins(1);
/// How soon it is looked at again.
const POLL: Duration = Duration::from_secs(1);

/// Takes the next step of a Shop's end.
pub(super) async fn finalize(context: &Context, shop: &Shop) -> Result<Outcome, ApiError> {
    if !shop.finalizers().iter().any(|finalizer| finalizer == names::FINALIZER) {
        return Ok(Outcome::Again(POLL));
    }
    let waited = age(shop);
    let world = World::read(&context.cluster, shop).await?;
    delete_processes(context, shop, &world).await?;
    if waited < PODS_BOUND && !World::pods(&context.cluster, shop).await?.is_empty() {
        tell(context, shop, "PodsTerminating", "the pods are leaving".to_owned()).await?;
        return Ok(Outcome::Again(POLL));
    }
    let removed = remove_from_consul(context, shop).await;
    context.metrics.synced("remove", removed.is_ok());
    if let Err(error) = removed {
        if waited < CONSUL_BOUND {
            tell(context, shop, "ConsulUnavailable", error.to_string()).await?;
            return Ok(Outcome::Again(POLL));
        }
        let (namespace, name, uid) = (names::namespace_of(shop), names::name_of(shop), names::uid_of(shop));
        let note = format!(
            "the Shop goes although Consul may still have its node shop-{uid} and its key shops/{namespace}/{name}/config: \
             {error}"
        );
        context.events.warn(shop, "ConsulAbandoned", note).await;
    }
    let finalizers: Vec<_> =
        shop.finalizers().iter().filter(|finalizer| *finalizer != names::FINALIZER).cloned().collect();
    let patch = json!({"metadata": {"resourceVersion": shop.metadata.resource_version, "finalizers": finalizers}});
    let (namespace, name) = (names::namespace_of(shop), names::name_of(shop));
    match context.cluster.merge(Kind::Shop, namespace, name, &patch).await {
        Err(error) if error.is_not_found() => {}
        done => drop(done?),
    }
    Ok(Outcome::Again(POLL))
}

/// How long ago the deletion was asked for.
fn age(shop: &Shop) -> Duration {
    let asked = shop.metadata.deletion_timestamp.as_ref().map_or_else(Timestamp::now, |time| time.0);
    Duration::try_from(Timestamp::now().duration_since(asked)).unwrap_or_default()
}

/// Deletes what makes pods. An autoscaler would only bring an error about a Deployment that is gone.
async fn delete_processes(context: &Context, shop: &Shop, world: &World) -> Result<(), ApiError> {
    for kind in [Kind::HorizontalPodAutoscaler, Kind::Deployment, Kind::Job] {
        for object in world.all(kind) {
            let metadata = &object.metadata;
            if metadata.deletion_timestamp.is_none()
                && is_controlled_by(metadata, names::uid_of(shop))
                && let (Some(name), Some(uid)) = (&metadata.name, &metadata.uid)
            {
                let namespace = names::namespace_of(shop);
                context.cluster.delete(Target { kind, namespace, name, uid }).await?;
            }
        }
    }
    Ok(())
}

async fn remove_from_consul(context: &Context, shop: &Shop) -> Result<(), RegistryError> {
    let values =
        read_references(&context.cluster, shop).await.map_err(|error| RegistryError::Access(error.to_string()))?;
    let client = context.consul.client(&values.consul_access(shop)?)?;
    let removed = Registry::new(client, shop).remove().await;
    context.consul.note(&shop.spec.consul.address, &removed);
    removed
}

/// Says that the Shop goes, and what it waits for.
async fn tell(context: &Context, shop: &Shop, reason: &str, message: String) -> Result<(), ApiError> {
    let mut status = shop.status.clone().unwrap_or_default();
    status.phase = Some(Phase::Deleting);
    status.observed_generation = shop.metadata.generation;
    let now = Timestamp::now();
    problem::set(shop, &mut status.conditions, ConditionType::Ready, "False", "Deleting", "the Shop is deleted", now);
    problem::set(shop, &mut status.conditions, ConditionType::Progressing, "True", reason, &message, now);
    match update_status(context, shop, status).await {
        // It changed, or is gone: the next look will tell.
        Err(error) if error.is_conflict() || error.is_not_found() => Ok(()),
        told => told,
    }
}
