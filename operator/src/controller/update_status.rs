//! Tells what was found and done, in the Shop's status: only when it says something else than before, and only of the Shop
//! that was read.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{Context, problem::whole_seconds};
use crate::{
    cluster::{ApiError, CALL_LIMIT, FIELD_MANAGER, Kind, within},
    names,
    rollout::Decision,
    shop::{ConditionType, Phase, Shop, ShopStatus},
};

/// The status that follows from a decision.
pub(super) fn status_of(shop: &Shop, decision: &Decision) -> ShopStatus {
    let mut conditions = decision.conditions.clone();
    for condition in &mut conditions {
        condition.last_transition_time.0 = whole_seconds(condition.last_transition_time.0);
    }
    ShopStatus {
        observed_generation: shop.metadata.generation,
        phase: Some(decision.phase),
        version: decision.version.clone(),
        url: Some(url(shop)),
        ready_services: Some(decision.ready_services.clone()),
        conditions,
        services: decision.services.clone(),
    }
}

/// Where clients reach the gateway.
fn url(shop: &Shop) -> String {
    match &shop.spec.gateway.ingress {
        Some(ingress) if ingress.tls_secret_name.is_some() => format!("https://{}", ingress.host),
        Some(ingress) => format!("http://{}", ingress.host),
        None => format!("http://{}-gateway.{}", names::name_of(shop), names::namespace_of(shop)),
    }
}

/// Writes the status if it is another one, and events of what changed.
pub(super) async fn update_status(context: &Context, shop: &Shop, status: ShopStatus) -> Result<(), ApiError> {
    context.metrics.phase(&names::key_of(shop), status.phase);
    let before = shop.status.clone().unwrap_or_default();
    if before != status {
        let (namespace, name) = (names::namespace_of(shop), names::name_of(shop));
        // The whole object with its resourceVersion and uid: if it changed meanwhile this is a conflict, and what it says
        // now is looked at first.
        let mut next = shop.clone();
        next.status = Some(status.clone());
        let api = kube::Api::<Shop>::namespaced(context.cluster.client().clone(), namespace);
        let params = kube::api::PostParams { dry_run: false, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let call = || format!("update the status of {} {namespace}/{name}", Kind::Shop);
        within(call, CALL_LIMIT, api.replace_status(name, &params, &next)).await?;
    }
    if before.phase != status.phase
        && let Some(phase) = status.phase
    {
        let ready = status.conditions.iter().find(|condition| condition.type_ == ConditionType::Ready.as_str());
        let note = ready.map(|ready| ready.message.clone()).unwrap_or_default();
        context.events.tell(shop, &format!("{phase:?}"), note).await;
    }
    context.events.faults(shop, faults(&status)).await;
    Ok(())
}

/// What is wrong, by reason.
fn faults(status: &ShopStatus) -> BTreeMap<String, String> {
    let pending = status.phase == Some(Phase::Pending);
    let is_fault = |condition: &&Condition| {
        let is = |type_: ConditionType, status: &str| condition.type_ == type_.as_str() && condition.status == status;
        is(ConditionType::Degraded, "True")
            || is(ConditionType::ConsulSynced, "False")
            || (pending && is(ConditionType::Ready, "False"))
    };
    let faults = status.conditions.iter().filter(is_fault);
    faults.map(|condition| (condition.reason.clone(), condition.message.clone())).collect()
}
