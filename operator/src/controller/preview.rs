//! What would come of a Shop if it were applied: the API server is asked to try each write, and stores none.

use std::collections::BTreeSet;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams, ValidationDirective},
};
use serde_json::{Value, json};

use super::{
    apply::{Flat, PRUNED, complete, flatten},
    compare,
    dereference::look,
    references::port_of,
    world::{World, is_controlled_by},
};
use crate::{
    build::{Replicas, build, digest, names as built},
    cluster::{ApiError, CALL_LIMIT, Cluster, FIELD_MANAGER, Kind, Object, within},
    names,
    observed::Reference,
    rollout::{Settled, settled},
    shop::{Component, Shop},
};

/// Who is said to apply a Shop that nobody has applied yet: `kubectl apply --server-side`.
const KUBECTL: &str = "kubectl";
/// Who has if `kubectl apply` did, which remembers in an annotation what it applied.
const KUBECTL_CLIENT_SIDE: &str = "kubectl-client-side-apply";

/// What would come of it.
#[derive(Debug)]
pub struct Preview {
    /// The Shop as the API server would keep it.
    pub shop: Shop,
    /// Every object that would be made, changed or deleted; the Shop first, then its children in the order of their writing.
    pub changes: Vec<Change>,
    /// What there is besides.
    pub settled: Settled,
}

/// One object.
#[derive(Debug)]
pub struct Change {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What is shown of it.
    pub shown: Shown,
}

/// What is shown of an object.
#[derive(Debug)]
pub enum Shown {
    /// It is made, like this.
    Created(Value),
    /// It is made, and what is in it is nobody's business.
    Secret,
    /// It is changed.
    Changed {
        /// As it is.
        before: Value,
        /// As it would be.
        after: Value,
    },
    /// It is deleted.
    Deleted(Value),
    /// It is deleted and made anew, since this field can't change.
    Recreated {
        /// Which field.
        field: &'static str,
        /// As it is.
        before: Value,
        /// As it would be.
        after: Value,
    },
    /// The API server does not take it, or it can't change.
    Refused(String),
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The API server; for the Shop itself it says what is wrong with it.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// It took what this operator can't read.
    #[error("the API server knows another version of Shops than this operator")]
    Unreadable(#[source] serde_json::Error),
}

/// Finds out what would come of applying `manifest`. `secrets` are those that are applied with it.
pub async fn preview(cluster: &Cluster, manifest: &Object, secrets: &[Secret]) -> Result<Preview, PreviewError> {
    let namespace = manifest.metadata.namespace.as_deref().unwrap_or_default();
    let name = manifest.metadata.name.as_deref().unwrap_or_default();
    let stored = cluster.get(Kind::Shop, namespace, name).await?;
    let tried = try_shop(cluster, manifest, stored.as_ref()).await?;
    let shop: Shop = serde_json::to_value(&tried).and_then(serde_json::from_value).map_err(PreviewError::Unreadable)?;

    let mut changes = Vec::new();
    note(&mut changes, Kind::Shop, name, stored.as_ref(), &tried);
    let world = World::read(cluster, &shop).await?;
    let mut observed = look(cluster, &shop, &world).await?;
    for (reference, found) in &mut observed.references {
        if let Some(value) = value_in(secrets, &reference.name, &reference.key) {
            *found = Reference::Found { digest: digest(&[value.0.as_slice()]), port: port_of(&value.0) };
        }
    }
    let mut settled = settled(&shop, &observed);
    if stored.is_some() {
        forget_new_numbers(&mut settled, &world, &shop);
    }
    let attempt = Attempt { cluster, shop: &shop, world: &world };
    attempt.secrets(&mut changes);
    attempt.children(&mut changes, &settled).await?;
    Ok(Preview { shop, changes, settled })
}

/// A number that an autoscaler has chosen is none of what would change.
fn forget_new_numbers(settled: &mut Settled, world: &World, shop: &Shop) {
    for component in Component::ROLL_ORDER {
        let name = format!("{}-{}", names::name_of(shop), component.name());
        let autoscaled = shop.spec.autoscaling(component).is_some();
        if let Some(process) = &mut settled.blueprint.processes[component]
            && autoscaled
            && let Some(live) = world.get(Kind::Deployment, &name)
            && let Some(replicas) = live.data.pointer("/spec/replicas").and_then(Value::as_i64)
        {
            process.replicas = Replicas::Fixed(i32::try_from(replicas).unwrap_or(i32::MAX));
        }
    }
}

/// Has the API server try the Shop: defaults, rules, what can't change.
async fn try_shop(cluster: &Cluster, manifest: &Object, stored: Option<&Object>) -> Result<Object, ApiError> {
    let namespace = manifest.metadata.namespace.as_deref().unwrap_or_default();
    let name = manifest.metadata.name.as_deref().unwrap_or_default();
    let api = cluster.api(Kind::Shop, namespace);
    let call = || format!("try Shop {namespace}/{name}");
    let by = |manager: &str| {
        let mut entries = stored.iter().flat_map(|stored| stored.metadata.managed_fields.iter().flatten());
        entries.any(|entry| entry.manager.as_deref() == Some(manager))
    };
    if let Some(stored) = stored.filter(|_| by(KUBECTL_CLIENT_SIDE)) {
        // What the manifest does not name any more goes, as with `kubectl apply`.
        let mut wanted = manifest.clone();
        wanted.metadata = stored.metadata.clone();
        wanted.metadata.managed_fields = None;
        for (held, given) in [
            (&mut wanted.metadata.labels, &manifest.metadata.labels),
            (&mut wanted.metadata.annotations, &manifest.metadata.annotations),
        ] {
            held.get_or_insert_default().extend(given.clone().unwrap_or_default());
        }
        wanted.data["status"] = stored.data["status"].clone();
        let params = PostParams { dry_run: true, field_manager: Some(KUBECTL.to_owned()) };
        return within(call, CALL_LIMIT, api.replace(name, &params, &wanted)).await;
    }
    let params = PatchParams {
        dry_run: true,
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply(stored.and_then(applier).unwrap_or(KUBECTL)).force()
    };
    within(call, CALL_LIMIT, api.patch(name, &params, &Patch::Apply(manifest))).await
}

/// Who has applied a Shop's spec: with the same name, what the manifest does not have any more is seen to go.
fn applier(stored: &Object) -> Option<&str> {
    let applied = stored.metadata.managed_fields.iter().flatten().find(|entry| {
        entry.operation.as_deref() == Some("Apply")
            && entry.fields_v1.as_ref().is_some_and(|fields| fields.0.get("f:spec").is_some())
    });
    applied?.manager.as_deref()
}

struct Attempt<'a> {
    cluster: &'a Cluster,
    shop: &'a Shop,
    world: &'a World,
}

impl Attempt<'_> {
    /// Secrets that the operator makes once, and the bundle of public keys that belongs to them.
    fn secrets(&self, changes: &mut Vec<Change>) {
        let signing = Component::ROLL_ORDER.map(|component| built::signing_keys(self.shop, component));
        let shared = [built::secrets(self.shop), built::admin(self.shop)];
        for name in shared.into_iter().chain(signing) {
            if self.world.get(Kind::Secret, &name).is_none() {
                changes.push(Change { kind: Kind::Secret, name, shown: Shown::Secret });
            }
        }
        let bundle = built::keys(self.shop);
        if self.world.get(Kind::ConfigMap, &bundle).is_none() {
            changes.push(Change { kind: Kind::ConfigMap, name: bundle, shown: Shown::Secret });
        }
    }

    async fn children(&self, changes: &mut Vec<Change>, settled: &Settled) -> Result<(), ApiError> {
        let bundle = built::keys(self.shop);
        let Flat { children, untouched, .. } = flatten(self.shop, build(self.shop, &settled.blueprint), "");
        let mut wanted = BTreeSet::from([(Kind::ConfigMap, bundle.clone())]);
        for child in children {
            wanted.insert((child.kind, child.name.clone()));
            if child.kind != Kind::ConfigMap || child.name != bundle {
                self.child(changes, child.kind, child.name, child.object).await?;
            }
        }
        for kind in PRUNED {
            let ours = |object: &&Object| is_controlled_by(&object.metadata, names::uid_of(self.shop));
            for object in self.world.all(kind).filter(ours) {
                let which = (kind, object.metadata.name.clone().unwrap_or_default());
                if !wanted.contains(&which) && !untouched.contains(&which) {
                    let name = which.1;
                    changes.push(Change { kind, name, shown: Shown::Deleted(tidy(object)) });
                }
            }
        }
        Ok(())
    }

    async fn child(
        &self,
        changes: &mut Vec<Change>,
        kind: Kind,
        name: String,
        mut object: Value,
    ) -> Result<(), ApiError> {
        complete(kind, &mut object);
        let live = self.world.get(kind, &name);
        if let Some(live) = live {
            let current = serde_json::to_value(live).unwrap_or_default();
            match compare::change(kind, &current, &object) {
                // One that is done, or at work, is not made again.
                _ if kind == Kind::Job => return Ok(()),
                compare::Change::Recreate(field) => {
                    let mut after = tidy_value(object);
                    strip(&mut after);
                    let shown = Shown::Recreated { field, before: tidy(live), after };
                    changes.push(Change { kind, name, shown });
                    return Ok(());
                }
                compare::Change::Refuse(field) => {
                    changes.push(Change { kind, name, shown: Shown::Refused(format!("its {field} can't change")) });
                    return Ok(());
                }
                compare::Change::None | compare::Change::Apply => {}
            }
        }
        let api = self.cluster.api(kind, names::namespace_of(self.shop));
        match self.attempt(&api, &name, &object).await {
            Ok(tried) => match live {
                Some(live) => note(changes, kind, &name, Some(live), &tried),
                // What the server adds to it says nothing.
                None => changes.push(Change { kind, name, shown: Shown::Created(tidy_value(object)) }),
            },
            Err(ApiError::Refused { message, code: 400 | 403 | 409 | 422, .. }) => {
                changes.push(Change { kind, name, shown: Shown::Refused(message) });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn attempt(&self, api: &Api<DynamicObject>, name: &str, object: &Value) -> Result<Object, ApiError> {
        let params = PatchParams {
            dry_run: true,
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::apply(FIELD_MANAGER).force()
        };
        let call = || format!("try {name}");
        within(call, CALL_LIMIT, api.patch(name, &params, &Patch::Apply(object))).await
    }
}

fn note(changes: &mut Vec<Change>, kind: Kind, name: &str, before: Option<&Object>, after: &Object) {
    let after = tidy(after);
    let shown = match before.map(tidy) {
        Some(before) if before == after => return,
        Some(before) => Shown::Changed { before, after },
        None => Shown::Created(after),
    };
    changes.push(Change { kind, name: name.to_owned(), shown });
}

/// One from the server. What came in a list has no kind, so none has.
fn tidy(object: &Object) -> Value {
    let mut object = tidy_value(serde_json::to_value(object).unwrap_or_default());
    strip(&mut object);
    object
}

fn strip(object: &mut Value) {
    if let Some(object) = object.as_object_mut() {
        object.retain(|name, _| !matches!(name.as_str(), "apiVersion" | "kind"));
    }
}

/// Without what the server, the operator and kubectl keep in an object for themselves.
fn tidy_value(mut object: Value) -> Value {
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|name, _| matches!(name.as_str(), "name" | "namespace" | "labels" | "annotations"));
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.retain(|name, _| {
                name != names::APPLIED
                    && name != built::GENERATION
                    && name != built::TEMPLATE
                    && name != "deployment.kubernetes.io/revision"
                    && name != "kubectl.kubernetes.io/last-applied-configuration"
            });
        }
        metadata.retain(|_, value| value.as_object().is_none_or(|map| !map.is_empty()));
    }
    object
}

fn value_in(secrets: &[Secret], name: &str, key: &str) -> Option<ByteString> {
    let secret = secrets.iter().find(|secret| secret.metadata.name.as_deref() == Some(name))?;
    let text = secret.string_data.as_ref().and_then(|data| data.get(key));
    text.map(|text| ByteString(text.clone().into_bytes())).or_else(|| secret.data.as_ref()?.get(key).cloned())
}

impl Change {
    /// For programs: `create`, `change`, `delete`, `recreate` or `refuse`, with the object before and after.
    pub fn document(&self) -> Value {
        let (action, before, after, note) = match &self.shown {
            Shown::Created(after) => ("create", None, Some(after), None),
            Shown::Secret => ("create", None, None, None),
            Shown::Changed { before, after } => ("change", Some(before), Some(after), None),
            Shown::Deleted(before) => ("delete", Some(before), None, None),
            Shown::Recreated { field, before, after } => {
                ("recreate", Some(before), Some(after), Some((*field).to_owned()))
            }
            Shown::Refused(why) => ("refuse", None, None, Some(why.clone())),
        };
        json!({
            "action": action, "kind": self.kind.name(), "name": self.name,
            "before": before, "after": after, "note": note,
        })
    }
}
