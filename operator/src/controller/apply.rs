//! Makes the cluster's objects what was built: applies those that differ, makes anew what can't change, deletes what is
//! built no more. Whatever goes wrong with one object is told, and keeps none of the others back.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Context,
    compare::{Change, annotate, change, take_annotation},
    problem::Problem,
    world::{World, is_controlled_by},
};
use crate::{
    build::{
        Children, digest,
        names::{GENERATION, REPLICAS_MANAGER, SHOP_LABEL},
    },
    cluster::{ApiError, FIELD_MANAGER, Kind, Object, Target},
    names,
    shop::{Component, Shop},
};

/// Kinds of which what is built no more is deleted. Claims and Secrets outlive what was built, Jobs end by a decision, and
/// the Deployments are always the same four.
pub(super) const PRUNED: [Kind; 7] = [
    Kind::Ingress,
    Kind::HorizontalPodAutoscaler,
    Kind::PodDisruptionBudget,
    Kind::NetworkPolicy,
    Kind::Service,
    Kind::ConfigMap,
    Kind::ServiceAccount,
];

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// What could not be done.
    pub(super) problems: Vec<Problem>,
    /// Whether something was written or is waited for: the rest follows soon.
    pub(super) unfinished: bool,
}

/// An object to be applied.
pub(super) struct Child {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) object: Value,
}

/// Applies everything in order. Only an API server that is away ends it early.
pub(super) async fn apply(
    context: &Context,
    shop: &Shop,
    world: &World,
    children: Children,
    bundle: &str,
) -> Result<Applied, ApiError> {
    let apply = Apply { context, shop, world };
    let mut applied = Applied::default();
    let Flat { hand_overs, children, untouched } = flatten(shop, children, bundle);
    let wanted: BTreeSet<(Kind, String)> = children.iter().map(|child| (child.kind, child.name.clone())).collect();
    for (component, replicas) in hand_overs {
        let what = format!("the number of pods of {}", component.name());
        apply.note(&mut applied, &what, apply.hand_over(component, replicas).await)?;
    }
    for child in children {
        let what = format!("{} {}", child.kind, child.name);
        apply.note(&mut applied, &what, apply.child(child).await)?;
    }
    for kind in PRUNED {
        for object in world.all(kind).filter(|object| is_controlled_by(&object.metadata, names::uid_of(shop))) {
            let name = object.metadata.name.clone().unwrap_or_default();
            let which = (kind, name);
            if !untouched.contains(&which) && !wanted.contains(&which) {
                let what = format!("{kind} {}", which.1);
                apply.note(&mut applied, &what, apply.delete(kind, object).await)?;
            }
        }
    }
    Ok(applied)
}

/// Deletes Jobs that are needed no more.
pub(super) async fn delete_jobs(
    context: &Context,
    shop: &Shop,
    world: &World,
    jobs: &[String],
) -> Result<Applied, ApiError> {
    let apply = Apply { context, shop, world };
    let mut applied = Applied::default();
    for name in jobs {
        let Some(job) = world.get(Kind::Job, name) else { continue };
        if is_controlled_by(&job.metadata, names::uid_of(shop)) {
            apply.note(&mut applied, &format!("Job {name}"), apply.delete(Kind::Job, job).await)?;
        }
    }
    Ok(applied)
}

/// What there is to apply, in order.
pub(super) struct Flat {
    hand_overs: Vec<(Component, i32)>,
    pub(super) children: Vec<Child>,
    /// What is neither applied nor deleted.
    pub(super) untouched: Vec<(Kind, String)>,
}

/// All kinds in one order. Every member is named: a kind that is forgotten does not compile.
pub(super) fn flatten(shop: &Shop, children: Children, bundle: &str) -> Flat {
    let Children {
        service_accounts,
        config_maps,
        claims,
        services,
        network_policies,
        disruption_budgets,
        jobs,
        deployments,
        autoscalers,
        ingresses,
        hand_overs,
        untouched,
    } = children;
    let mut all = Vec::new();
    add(&mut all, Kind::ServiceAccount, service_accounts);
    add(&mut all, Kind::ConfigMap, [crate::secrets::bundle_object(shop, bundle)]);
    add(&mut all, Kind::ConfigMap, config_maps);
    add(&mut all, Kind::PersistentVolumeClaim, claims);
    add(&mut all, Kind::Service, services);
    add(&mut all, Kind::NetworkPolicy, network_policies);
    add(&mut all, Kind::PodDisruptionBudget, disruption_budgets);
    add(&mut all, Kind::Job, jobs);
    add(&mut all, Kind::Deployment, deployments);
    add(&mut all, Kind::HorizontalPodAutoscaler, autoscalers);
    add(&mut all, Kind::Ingress, ingresses);
    Flat { hand_overs, children: all, untouched }
}

fn add<K: serde::Serialize + kube::Resource>(all: &mut Vec<Child>, kind: Kind, objects: impl IntoIterator<Item = K>) {
    all.extend(objects.into_iter().map(|object| Child {
        kind,
        name: object.meta().name.clone().unwrap_or_default(),
        // The types of the API are made of nothing that JSON lacks.
        object: serde_json::to_value(object).unwrap_or_default(),
    }));
}

/// What was done with one object.
enum Done {
    Nothing,
    Written,
    Waiting(String),
    Refused(Problem),
}

struct Apply<'a> {
    context: &'a Context,
    shop: &'a Shop,
    world: &'a World,
}

impl Apply<'_> {
    fn namespace(&self) -> &str {
        names::namespace_of(self.shop)
    }

    /// Sorts out what came of one object.
    fn note(&self, applied: &mut Applied, what: &str, done: Result<Done, ApiError>) -> Result<(), ApiError> {
        match done {
            Ok(Done::Nothing) => {}
            Ok(Done::Written) => {
                tracing::info!(
                    shop.namespace = self.namespace(),
                    shop.name = names::name_of(self.shop),
                    object = what,
                    "Changed an object."
                );
                applied.unfinished = true;
            }
            Ok(Done::Waiting(why)) => {
                applied.unfinished = true;
                applied.problems.push(Problem::waiting(what, &why));
            }
            Ok(Done::Refused(problem)) => applied.problems.push(problem),
            // The next run reads what is there now.
            Err(error) if error.is_conflict() => applied.unfinished = true,
            Err(error @ ApiError::Refused { .. }) => applied.problems.push(Problem::refused(what, &error)),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn child(&self, child: Child) -> Result<Done, ApiError> {
        let Child { kind, name, mut object } = child;
        complete(kind, &mut object);
        // Which generation it is by is no difference: an object that a new one leaves as it is is not written.
        let generation = take_annotation(&mut object, GENERATION);
        let digest = digest(&[object.to_string()]);
        annotate(&mut object, names::APPLIED, &digest);
        let written = || {
            let mut written = object.clone();
            if let Some(generation) = &generation {
                annotate(&mut written, GENERATION, generation);
            }
            written
        };
        let labelled = self.world.get(kind, &name);
        // It may be there without the labels.
        let other =
            if labelled.is_none() { self.context.cluster.get(kind, self.namespace(), &name).await? } else { None };
        let live = labelled.or(other.as_ref());
        let Some(live) = live else {
            if kind == Kind::Job {
                self.is_current().await?;
            }
            self.context.cluster.apply(kind, self.namespace(), &name, FIELD_MANAGER, &written()).await?;
            return Ok(Done::Written);
        };
        if let Some(owner) = self.other_owner(live) {
            return Ok(Done::Refused(Problem::foreign(&format!("{kind} {name}"), &owner)));
        }
        if live.metadata.deletion_timestamp.is_some() {
            return Ok(Done::Waiting("it is being deleted; another one follows when it is gone".to_owned()));
        }
        if kind == Kind::Job {
            // A Job can't change; one for something else has another name.
            return Ok(Done::Nothing);
        }
        let mut current = serde_json::to_value(live).unwrap_or_default();
        // What is in a list does not say its kind.
        complete(kind, &mut current);
        match change(kind, &current, &object) {
            Change::None => Ok(Done::Nothing),
            Change::Apply => {
                let mut written = written();
                // It is that one, or a conflict.
                written["metadata"]["uid"] = json!(live.metadata.uid);
                self.context.cluster.apply(kind, self.namespace(), &name, FIELD_MANAGER, &written).await?;
                Ok(Done::Written)
            }
            Change::Recreate(field) => {
                let note = format!("{kind} {name} is made anew, since its {field} can't change");
                self.context.events.tell(self.shop, "Recreated", note).await;
                self.delete(kind, live).await
            }
            Change::Refuse(field) => Ok(Done::Refused(Problem::immutable(&format!("{kind} {name}"), field))),
        }
    }

    /// Looks once more before something starts that can't be taken back: what a spec said that is another by now must not be
    /// done to a database.
    async fn is_current(&self) -> Result<(), ApiError> {
        let metadata = &self.shop.metadata;
        let call = || format!("get Shop {}/{}", self.namespace(), names::name_of(self.shop));
        let found = self.context.cluster.get_metadata(Kind::Shop, self.namespace(), names::name_of(self.shop)).await?;
        let same = found.is_some_and(|found| {
            found.metadata.uid == metadata.uid
                && found.metadata.generation == metadata.generation
                && found.metadata.deletion_timestamp.is_none()
        });
        if same { Ok(()) } else { Err(ApiError::changed(call())) }
    }

    /// Whose an object is, if it is not this Shop's.
    fn other_owner(&self, live: &Object) -> Option<String> {
        let metadata = &live.metadata;
        let controller = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
        if let Some(owner) = controller {
            let ours = owner.uid == names::uid_of(self.shop);
            return (!ours).then(|| format!("{} {} (uid {})", owner.kind, owner.name, owner.uid));
        }
        // Claims have no owner; of the rest one without an owner has lost it.
        let label = |name: &str| metadata.labels.as_ref().and_then(|labels| labels.get(name));
        let ours = label(names::MANAGED_BY_LABEL).is_some_and(|by| by == FIELD_MANAGER)
            && label(SHOP_LABEL).is_some_and(|shop| shop == names::name_of(self.shop));
        (!ours).then(|| "somebody else".to_owned())
    }

    /// Holds the number of pods of a Deployment that is there.
    async fn hand_over(&self, component: Component, replicas: i32) -> Result<Done, ApiError> {
        let name = format!("{}-{}", names::name_of(self.shop), component.name());
        let Some(live) = self.world.get(Kind::Deployment, &name) else { return Ok(Done::Nothing) };
        let held = live.metadata.managed_fields.iter().flatten().any(|entry| {
            entry.manager.as_deref() == Some(REPLICAS_MANAGER)
                && entry.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer("/f:spec/f:replicas").is_some())
        });
        if held || !is_controlled_by(&live.metadata, names::uid_of(self.shop)) {
            return Ok(Done::Nothing);
        }
        let object = json!({
            "apiVersion": "apps/v1",
            "kind": Kind::Deployment.name(),
            "metadata": {"name": name, "namespace": self.namespace(), "uid": live.metadata.uid},
            "spec": {"replicas": replicas},
        });
        let cluster = &self.context.cluster;
        cluster.apply(Kind::Deployment, self.namespace(), &name, REPLICAS_MANAGER, &object).await?;
        Ok(Done::Written)
    }

    async fn delete(&self, kind: Kind, object: &Object) -> Result<Done, ApiError> {
        let (Some(name), Some(uid)) = (object.metadata.name.as_deref(), object.metadata.uid.as_deref()) else {
            return Ok(Done::Nothing);
        };
        if object.metadata.deletion_timestamp.is_none() {
            self.context.cluster.delete(Target { kind, namespace: self.namespace(), name, uid }).await?;
            return Ok(Done::Written);
        }
        Ok(Done::Nothing)
    }
}

/// Adds what the API server wants to see in what is applied.
pub(super) fn complete(kind: Kind, object: &mut Value) {
    let resource = kind.resource();
    object["apiVersion"] = json!(resource.api_version);
    object["kind"] = json!(resource.kind);
    // It is the server's.
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
}
