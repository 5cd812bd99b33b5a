//! Whether what users wrote is a Shop at all. The schema and its rules keep out what can't work; what an older schema let in,
//! or a newer operator wrote, is told in its status and leaves all other Shops alone. What its fields mean together is up to
//! the decision.

use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::{Context, problem::whole_seconds};
use crate::{
    cluster::{ApiError, Kind, Object},
    names,
    shop::{ConditionType, Phase, Shop},
};

/// What an object turned out to be.
pub(super) enum Validated {
    /// A Shop.
    Shop(Box<Shop>),
    /// Something that this operator can't read; it says so.
    Invalid,
}

/// Reads an object as a Shop.
pub(super) async fn parse(context: &Context, object: Object) -> Result<Validated, ApiError> {
    let error = match serde_json::to_value(&object).and_then(serde_json::from_value::<Shop>) {
        Ok(shop) => return Ok(Validated::Shop(Box::new(shop))),
        Err(error) => error.to_string(),
    };
    let (Some(namespace), Some(name)) = (&object.metadata.namespace, &object.metadata.name) else {
        return Ok(Validated::Invalid);
    };
    let finalizers = object.metadata.finalizers.iter().flatten();
    if object.metadata.deletion_timestamp.is_some() {
        // What it has in Consul can't be known; it must not stay for ever.
        let kept: Vec<_> = finalizers.filter(|finalizer| *finalizer != names::FINALIZER).collect();
        if kept.len() < object.metadata.finalizers.as_ref().map_or(0, Vec::len) {
            let patch = json!({"metadata": {"resourceVersion": object.metadata.resource_version, "finalizers": kept}});
            context.cluster.merge(Kind::Shop, namespace, name, &patch).await?;
        }
        return Ok(Validated::Invalid);
    }
    tracing::warn!(shop.namespace = namespace, shop.name = name, error, "A Shop can't be read.");
    let message = format!("this operator can't read the Shop: {error}; put the field right");
    let conditions = object.data.pointer("/status/conditions").and_then(|conditions| conditions.as_array());
    let said = |condition: &serde_json::Value| condition["message"] == message.as_str();
    if conditions.is_some_and(|conditions| conditions.iter().any(said)) {
        return Ok(Validated::Invalid);
    }
    let now = whole_seconds(Timestamp::now()).to_string();
    let condition = |type_: ConditionType, status: &str| {
        json!({
            "type": type_.as_str(), "status": status, "reason": "InvalidSpec", "message": message,
            "observedGeneration": object.metadata.generation, "lastTransitionTime": now,
        })
    };
    let patch = json!({
        "metadata": {"resourceVersion": object.metadata.resource_version},
        "status": {
            "phase": Phase::Pending,
            "observedGeneration": object.metadata.generation,
            "conditions": [condition(ConditionType::Ready, "False"), condition(ConditionType::Degraded, "True")],
        },
    });
    context.cluster.merge_status(Kind::Shop, namespace, name, &patch).await?;
    Ok(Validated::Invalid)
}
