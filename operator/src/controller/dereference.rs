//! Reads everything that a decision about a Shop depends on. What could not be read is an error, or is said to be unknown;
//! it is never taken for gone.

use std::collections::BTreeSet;

use k8s_openapi::{api::apps::v1::Deployment, jiff::Timestamp};
use serde::de::DeserializeOwned;

use super::{
    Context, probe,
    references::{Values, read_references},
    world::{World, is_controlled_by},
};
use crate::{
    build::{digest, names as built},
    cluster::{ApiError, Cluster, Kind},
    names,
    observed::{Observed, Registered},
    registry::{Registry, RegistryError, settings_document},
    rollout::is_worth_a_probe,
    secrets::ShopSecrets,
    shop::{Components, Shop},
};

/// What was read, and what is needed to act on it.
pub(super) struct Read {
    pub(super) observed: Observed,
    /// Consul, if there is a way to it.
    pub(super) registry: Option<Registry>,
}

/// Reads the world around a Shop. Without its secrets the checksums are those of what runs.
pub(super) async fn dereference(
    context: &Context,
    shop: &Shop,
    world: &World,
    secrets: Option<&ShopSecrets>,
) -> Result<Read, ApiError> {
    let (values, missing_secrets, host) = futures::try_join!(
        read_references(&context.cluster, shop),
        missing_secrets(&context.cluster, shop),
        context.claims.conflict(&context.cluster, shop),
    )?;
    let deployments = by_component::<Deployment>(world, Kind::Deployment, shop);
    let (registry, consul) = consul(context, shop, &values).await;
    // After Consul: a pod that registered in between must not look like one that is gone.
    let pods = World::pods(&context.cluster, shop).await?;
    let mut conflicts: Vec<_> = host.into_iter().collect();
    conflicts.extend(secrets.into_iter().flat_map(|secrets| secrets.conflicts.iter().cloned()));
    let observed = Observed {
        now: Timestamp::now(),
        checksums: checksums(shop, &values, secrets, &deployments),
        autoscalers: by_component(world, Kind::HorizontalPodAutoscaler, shop),
        settings: kept_settings(world, shop),
        pods,
        jobs: world.owned(Kind::Job, names::uid_of(shop)),
        references: values.references(),
        consul: consul.map_err(|error| error.to_string()),
        deployments,
        claims: world.typed(Kind::PersistentVolumeClaim),
        missing_secrets,
        conflicts,
        probe: None,
    };
    Ok(Read { observed, registry })
}

impl Read {
    /// Asks through the gateway. It comes after what is dead was taken out of Consul: a gateway that tries a process that is
    /// gone answers late.
    pub(super) async fn probe(&mut self, context: &Context, shop: &Shop) {
        // It would fail before.
        if is_worth_a_probe(&self.observed) {
            self.observed.probe = Some(probed(context, shop).await);
        }
    }
}

/// What the cluster has of a Shop, for whoever only wants to know: Consul is taken to be as it should, the gateway is not
/// asked, and no secret of the shop's own is read.
pub(super) async fn look(cluster: &Cluster, shop: &Shop, world: &World) -> Result<Observed, ApiError> {
    let (values, missing_secrets, pods) = futures::try_join!(
        read_references(cluster, shop),
        missing_secrets(cluster, shop),
        World::pods(cluster, shop),
    )?;
    let deployments = by_component::<Deployment>(world, Kind::Deployment, shop);
    Ok(Observed {
        now: Timestamp::now(),
        checksums: checksums(shop, &values, None, &deployments),
        autoscalers: by_component(world, Kind::HorizontalPodAutoscaler, shop),
        settings: kept_settings(world, shop),
        pods,
        jobs: world.owned(Kind::Job, names::uid_of(shop)),
        references: values.references(),
        consul: Ok(Registered { settings_current: true, ..Registered::default() }),
        deployments,
        claims: world.typed(Kind::PersistentVolumeClaim),
        missing_secrets,
        conflicts: Vec::new(),
        probe: None,
    })
}

fn by_component<K: DeserializeOwned + kube::Resource>(world: &World, kind: Kind, shop: &Shop) -> Components<Option<K>> {
    let mut owned: Vec<K> = world.owned(kind, names::uid_of(shop));
    Components::from_fn(|component| {
        let name = format!("{}-{}", names::name_of(shop), component.name());
        let position = owned.iter().position(|object| object.meta().name.as_deref() == Some(&name))?;
        Some(owned.swap_remove(position))
    })
}

/// Secrets that are named without a key: of the registry, and of the certificate.
async fn missing_secrets(cluster: &Cluster, shop: &Shop) -> Result<Vec<String>, ApiError> {
    let spec = &shop.spec;
    let pull = spec.image.pull_secrets.iter().map(|reference| reference.name.as_str());
    let certificate = spec.gateway.ingress.iter().filter_map(|ingress| ingress.tls_secret_name.as_deref());
    let named: BTreeSet<_> = pull.chain(certificate).collect();
    let mut missing = Vec::new();
    for name in named {
        if cluster.get_metadata(Kind::Secret, names::namespace_of(shop), name).await?.is_none() {
            missing.push(name.to_owned());
        }
    }
    Ok(missing)
}

/// The last settings that were good, as the ConfigMap has them for a cold start.
fn kept_settings(world: &World, shop: &Shop) -> Option<String> {
    let config_map = world.get(Kind::ConfigMap, &built::settings(shop))?;
    is_controlled_by(&config_map.metadata, names::uid_of(shop))
        .then(|| config_map.data.get("data")?.get(built::SETTINGS_KEY)?.as_str().map(str::to_owned))
        .flatten()
}

/// What pods read only when they start: with another digest they have to be replaced. What can't be read at the moment
/// leaves the digest as it is.
fn checksums(
    shop: &Shop,
    values: &Values,
    secrets: Option<&ShopSecrets>,
    deployments: &Components<Option<Deployment>>,
) -> Components<String> {
    Components::from_fn(|component| {
        let url = component.database().and_then(|service| shop.spec.database.url_of(service));
        let known = secrets.map(|secrets| secrets.digests[component].as_str());
        let url = url.map_or(Some(""), |reference| values.digest(reference));
        match (known, url) {
            (Some(own), Some(url)) => digest(&[own, url]),
            _ => running_checksum(deployments[component].as_ref()).unwrap_or_default(),
        }
    })
}

fn running_checksum(deployment: Option<&Deployment>) -> Option<String> {
    let template = deployment?.spec.as_ref()?.template.metadata.as_ref()?;
    template.annotations.as_ref()?.get(built::CHECKSUM).cloned()
}

/// What Consul has of the shop, and the way to it.
async fn consul(
    context: &Context,
    shop: &Shop,
    values: &Values,
) -> (Option<Registry>, Result<Registered, RegistryError>) {
    let connected = values.consul_access(shop).and_then(|access| context.consul.client(&access));
    let registry = match connected {
        Ok(client) => Registry::new(client, shop),
        Err(error) => return (None, Err(error)),
    };
    // Invalid settings leave those that are there.
    let settings = settings_document(shop).ok();
    let registered = registry.read(settings.as_deref()).await;
    context.consul.note(&shop.spec.consul.address, &registered);
    (Some(registry), registered)
}

/// Whether the gateway answers as it should.
async fn probed(context: &Context, shop: &Shop) -> Result<(), String> {
    let address = (context.gateway_address)(names::namespace_of(shop), names::name_of(shop));
    let maintenance = shop.spec.settings.maintenance == Some(true);
    probe::probe(&address, maintenance).await
}
