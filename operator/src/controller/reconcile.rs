//! One reconciliation: `dereference → validate → decide → build → apply → update_status`.

use std::time::Duration;

use kube::ResourceExt as _;
use serde_json::json;

use super::{
    Context,
    apply::{Applied, apply, delete_jobs},
    dereference::{Read, dereference},
    finalize::finalize,
    problem::{self, Problem},
    queue::{Key, Outcome},
    update_status::{status_of, update_status},
    validate::{self, Validated},
    world::World,
};
use crate::{
    build::build,
    cluster::{ApiError, Kind},
    names,
    registry::{RegistryError, settings_document},
    rollout::{Decision, decide},
    secrets::{self, SecretsError, ShopSecrets},
    shop::{Phase, Shop},
};

/// While something is going on that no watch tells of: an entry in Consul, an answer of the gateway.
const SOON: Duration = Duration::from_secs(2);
/// While something is wrong that somebody has to put right: a Secret that is missing, a Consul that is away.
const LATER: Duration = Duration::from_secs(10);

/// Reconciles the Shop of this name as it is now.
pub(super) async fn reconcile(context: &Context, key: &Key) -> Result<Outcome, ApiError> {
    let Some(object) = context.cluster.get(Kind::Shop, &key.namespace, &key.name).await? else {
        context.events.forget(&key.to_string());
        context.metrics.phase(&key.to_string(), None);
        return Ok(Outcome::Gone);
    };
    let shop = match validate::parse(context, object).await? {
        Validated::Shop(shop) => *shop,
        // Its spec has to change first, which is heard of.
        Validated::Invalid => return Ok(Outcome::Again(context.rhythm.resync)),
    };
    if shop.metadata.deletion_timestamp.is_some() {
        return finalize(context, &shop).await;
    }
    if !shop.finalizers().iter().any(|finalizer| finalizer == names::FINALIZER) {
        add_finalizer(context, &shop).await?;
        return Ok(Outcome::Again(Duration::ZERO));
    }
    let world = World::read(&context.cluster, &shop).await?;
    let secrets = make_secrets(context, &shop, &world).await?;
    let held = secrets.as_ref().ok().and_then(Option::as_ref);
    let mut read = Box::pin(dereference(context, &shop, &world, held)).await?;
    let now = read.observed.now;
    let mut problems = Vec::new();
    // What is in Consul for pods that are gone harms clients: that comes first.
    let first = decide(&shop, &read.observed);
    let mut unfinished = sync_registry(context, &shop, &mut read, &first, &mut problems).await;
    read.probe(context, &shop).await;
    // With that, and what was put right is not told as wrong.
    let mut decision = decide(&shop, &read.observed);
    match secrets {
        Ok(secrets) => {
            if let Some(blueprint) = &decision.blueprint {
                let bundle = secrets.map(|secrets| secrets.bundle).unwrap_or_default();
                let applied = apply(context, &shop, &world, build(&shop, blueprint), &bundle).await?;
                take(applied, &mut problems, &mut unfinished);
            }
            let applied = delete_jobs(context, &shop, &world, &decision.obsolete_jobs).await?;
            take(applied, &mut problems, &mut unfinished);
        }
        // Nothing starts without them, and what runs goes on with those it has.
        Err(SecretsError::Api(error)) => problems.push(Problem::refused("a Secret of the Shop", &error)),
        Err(error) => problems.push(Problem::fault("SecretsUnusable", error.to_string())),
    }
    problem::tell(&shop, &mut decision, &problems, now);
    let status = status_of(&shop, &decision);
    update_status(context, &shop, status).await?;
    Ok(Outcome::Again(next_look(decision.phase, !problems.is_empty(), unfinished, context.rhythm.resync)))
}

fn take(applied: Applied, problems: &mut Vec<Problem>, unfinished: &mut bool) {
    problems.extend(applied.problems);
    *unfinished |= applied.unfinished;
}

/// When to look again if nothing happens.
fn next_look(phase: Phase, has_problems: bool, unfinished: bool, resync: Duration) -> Duration {
    match phase {
        Phase::Migrating | Phase::RollingOut => SOON,
        _ if unfinished => SOON,
        Phase::Pending | Phase::Degraded | Phase::Deleting => LATER,
        Phase::Ready | Phase::Paused if has_problems => LATER,
        Phase::Ready | Phase::Paused => resync,
    }
}

/// The secrets, made where they are missing; nothing while the Shop is paused. It is an error of the reconciliation only if
/// the API server is away, or somebody else was faster: what it refuses has to be told.
async fn make_secrets(
    context: &Context,
    shop: &Shop,
    world: &World,
) -> Result<Result<Option<ShopSecrets>, SecretsError>, ApiError> {
    if shop.spec.paused {
        return Ok(Ok(None));
    }
    let listed: Vec<_> = world.all(Kind::Secret).cloned().collect();
    match secrets::ensure(&context.cluster, shop, &listed).await {
        Ok(secrets) => Ok(Ok(Some(secrets))),
        Err(SecretsError::Api(error)) if !error.is_refusal() => Err(error),
        Err(error) => Ok(Err(error)),
    }
}

/// Writes to Consul what the decision says, and takes what was read for changed; whether anything was written.
async fn sync_registry(
    context: &Context,
    shop: &Shop,
    read: &mut Read,
    decision: &Decision,
    problems: &mut Vec<Problem>,
) -> bool {
    context.metrics.synced("read", read.observed.consul.is_ok());
    let (Some(registry), Ok(registered)) = (&read.registry, &mut read.observed.consul) else { return false };
    let mut wrote = false;
    let mut note = |what, id: &str, done: Result<(), RegistryError>| {
        context.metrics.synced(what, done.is_ok());
        context.consul.note(&shop.spec.consul.address, &done);
        let well = done.is_ok();
        match done {
            Ok(()) => {
                wrote = true;
                tracing::info!(
                    shop.namespace = names::namespace_of(shop),
                    shop.name = names::name_of(shop),
                    consul.change = what,
                    consul.id = id,
                    "Changed Consul."
                );
            }
            Err(error) => problems.push(Problem::unavailable(error.to_string())),
        }
        well
    };
    for id in &decision.dead_instances {
        if note("deregister", id, registry.remove_instance(id).await) {
            registered.instances.remove(id);
        }
    }
    if decision.write_settings
        && let Ok(document) = settings_document(shop)
        && note("settings", registry.key(), registry.write_settings(document).await)
    {
        registered.settings_current = true;
    }
    wrote
}

async fn add_finalizer(context: &Context, shop: &Shop) -> Result<(), ApiError> {
    let finalizers: Vec<_> = shop.finalizers().iter().map(String::as_str).chain([names::FINALIZER]).collect();
    let patch = json!({"metadata": {"resourceVersion": shop.metadata.resource_version, "finalizers": finalizers}});
    let (namespace, name) = (names::namespace_of(shop), names::name_of(shop));
    context.cluster.merge(Kind::Shop, namespace, name, &patch).await.map(drop)
}
