//! What keeps a Shop from being what its spec says, beyond what a decision knows of: told in conditions and events.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use crate::{
    cluster::ApiError,
    shop::{ConditionType, Shop},
};

/// One thing that could not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// CamelCase, for the condition and the event.
    pub(super) reason: &'static str,
    /// What is wrong and what to do.
    pub(super) message: String,
    /// Whether it passes by itself: then it is no fault.
    pub(super) passing: bool,
}

impl Problem {
    /// Something has to go first.
    pub(super) fn waiting(what: &str, why: &str) -> Self {
        Self { reason: "Terminating", message: format!("{what}: {why}"), passing: true }
    }

    /// The API server does not take it.
    pub(super) fn refused(what: &str, error: &ApiError) -> Self {
        Self { reason: "ApplyFailed", message: format!("{what} can't be changed: {error}"), passing: false }
    }

    /// Somebody else's object has the name.
    pub(super) fn foreign(what: &str, owner: &str) -> Self {
        let message =
            format!("{what} belongs to {owner} and is left as it is: delete it, or give the Shop another name");
        Self { reason: "NameConflict", message, passing: false }
    }

    /// A field that can't change, of an object that can't be made anew.
    pub(super) fn immutable(what: &str, field: &str) -> Self {
        let message = format!(
            "{what} is left as it is, since its {field} can't change: put the spec back as it was, or keep what it holds \
             elsewhere and delete it"
        );
        Self { reason: "ImmutableField", message, passing: false }
    }

    /// Anything else.
    pub(super) fn fault(reason: &'static str, message: String) -> Self {
        Self { reason, message, passing: false }
    }
}

/// Several in one text.
fn told(problems: &[Problem]) -> String {
    problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; ")
}

/// Tells problems in the conditions that were decided on: a Shop that has one is not ready, and if it does not pass by itself,
/// degraded.
pub(super) fn tell(shop: &Shop, conditions: &mut Vec<Condition>, problems: &[Problem], now: Timestamp) {
    let Some(first) = problems.iter().find(|problem| !problem.passing).or(problems.first()) else { return };
    let message = told(problems);
    set(shop, conditions, ConditionType::Ready, "False", first.reason, &message, now);
    if !first.passing {
        set(shop, conditions, ConditionType::Degraded, "True", first.reason, &message, now);
    }
}

/// Sets a condition. When it became what it is changes only with its status.
pub(super) fn set(
    shop: &Shop,
    conditions: &mut Vec<Condition>,
    type_: ConditionType,
    status: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) {
    let name = type_.as_str();
    let before = shop.status.iter().flat_map(|status| &status.conditions).find(|condition| condition.type_ == name);
    let since = before.filter(|before| before.status == status).map(|before| before.last_transition_time.clone());
    let condition = Condition {
        type_: name.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: shop.metadata.generation,
        last_transition_time: since.unwrap_or(Time(whole_seconds(now))),
    };
    match conditions.iter_mut().find(|condition| condition.type_ == name) {
        Some(place) => *place = condition,
        None => conditions.push(condition),
    }
}

/// As the API server keeps it: a status that was read compares to one that was made.
pub(super) fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
