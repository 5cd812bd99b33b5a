//! What keeps a Shop from being what its spec says, beyond what a decision knows of: told in conditions and events.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use crate::{
    cluster::ApiError,
    rollout::{BLOCKED, Decision},
    shop::{ConditionType, Phase, Shop},
};

/// One thing that could not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// CamelCase, for the condition and the event.
    pub(super) reason: &'static str,
    /// What is wrong and what to do.
    pub(super) message: String,
    /// What ends it.
    pub(super) end: End,
}

/// What ends a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It passes by itself, and is no fault.
    Passes,
    /// Something else has to answer again; nothing of the Shop has to be put right.
    Returns,
    /// Somebody has to put it right.
    PutRight,
}

impl Problem {
    /// Something has to go first.
    pub(super) fn waiting(what: &str, why: &str) -> Self {
        Self { reason: "Terminating", message: format!("{what}: {why}"), end: End::Passes }
    }

    /// The API server does not take it.
    pub(super) fn refused(what: &str, error: &ApiError) -> Self {
        Self { reason: "ApplyFailed", message: format!("{what} can't be changed: {error}"), end: End::PutRight }
    }

    /// Somebody else's object has the name.
    pub(super) fn foreign(what: &str, owner: &str) -> Self {
        let message =
            format!("{what} belongs to {owner} and is left as it is: delete it, or give the Shop another name");
        Self { reason: "NameConflict", message, end: End::PutRight }
    }

    /// A field that can't change, of an object that can't be made anew.
    pub(super) fn immutable(what: &str, field: &str) -> Self {
        let message = format!(
            "{what} is left as it is, since its {field} can't change: put the spec back as it was, or keep what it holds \
             elsewhere and delete it"
        );
        Self { reason: "ImmutableField", message, end: End::PutRight }
    }

    /// Consul does not take it.
    pub(super) fn unavailable(message: String) -> Self {
        Self { reason: "ConsulUnavailable", message, end: End::Returns }
    }

    /// Anything else.
    pub(super) fn fault(reason: &'static str, message: String) -> Self {
        Self { reason, message, end: End::PutRight }
    }

    fn is_fault(&self) -> bool {
        self.end != End::Passes
    }

    fn said(&self) -> (&str, &str) {
        (self.reason, &self.message)
    }
}

/// Several in one text, each once.
fn joined<'a>(messages: impl IntoIterator<Item = &'a str>) -> String {
    let mut all: Vec<&str> = Vec::new();
    for message in messages {
        if !all.iter().any(|said| said.contains(message)) {
            all.push(message);
        }
    }
    all.join("; ")
}

/// Tells problems in what was decided, besides what that says is wrong: a Shop that has one is not ready, and if it does not
/// pass by itself, degraded.
pub(super) fn tell(shop: &Shop, decision: &mut Decision, problems: &[Problem], now: Timestamp) {
    let (faults, passing): (Vec<_>, Vec<_>) = problems.iter().partition(|problem| problem.is_fault());
    let is_degraded = |it: &&Condition| it.type_ == ConditionType::Degraded.as_str() && it.status == "True";
    let known = decision.conditions.iter().find(is_degraded).cloned();
    let known = known.iter().map(|known| (known.reason.as_str(), known.message.as_str()));
    let wrong: Vec<_> = faults.iter().map(|it| it.said()).chain(known).collect();
    let all: Vec<_> = wrong.iter().copied().chain(passing.iter().map(|it| it.said())).collect();
    let Some((reason, _)) = all.first().filter(|_| !problems.is_empty()) else { return };
    let mut say = |type_, status, reason: &str, message: &str| {
        set(shop, &mut decision.conditions, type_, status, reason, message, now);
    };
    say(ConditionType::Ready, "False", reason, &joined(all.iter().map(|(_, message)| *message)));
    if !faults.is_empty() {
        say(ConditionType::Degraded, "True", reason, &joined(wrong.iter().map(|(_, message)| *message)));
    }
    if matches!(decision.phase, Phase::Paused | Phase::Deleting) {
        return;
    }
    if faults.iter().any(|fault| fault.end == End::PutRight) {
        say(ConditionType::Progressing, "False", BLOCKED.0, BLOCKED.1);
    }
    if !faults.is_empty() {
        decision.phase = if decision.version.is_some() { Phase::Degraded } else { Phase::Pending };
    } else if decision.phase == Phase::Ready {
        decision.phase = Phase::RollingOut;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    /// Everything serves, or order is being replaced.
    fn decided(phase: Phase, version: Option<&str>) -> Decision {
        let mut decision = Decision {
            blueprint: None,
            obsolete_jobs: Vec::new(),
            dead_instances: Vec::new(),
            write_settings: false,
            phase,
            conditions: Vec::new(),
            services: Vec::new(),
            ready_services: String::new(),
            version: version.map(str::to_owned),
        };
        let (ready, moves) = if phase == Phase::Ready { ("True", "False") } else { ("False", "True") };
        for (type_, status, reason) in [
            (ConditionType::Ready, ready, "RollingOut"),
            (ConditionType::Progressing, moves, "RollingOut"),
            (ConditionType::Degraded, "False", "AsExpected"),
        ] {
            set(&fixtures::postgres(), &mut decision.conditions, type_, status, reason, "order moves", NOW);
        }
        decision
    }

    fn told(mut decision: Decision, problems: &[Problem]) -> Decision {
        tell(&fixtures::postgres(), &mut decision, problems, NOW);
        decision
    }

    fn condition(decision: &Decision, type_: ConditionType) -> (&str, &str, &str) {
        let found = decision.conditions.iter().find(|it| it.type_ == type_.as_str()).unwrap();
        (&found.status, &found.reason, &found.message)
    }

    fn refused() -> Problem {
        Problem::refused("Deployment demo-order", &ApiError::changed("apply it".to_owned()))
    }

    #[test]
    fn what_somebody_has_to_put_right_is_no_roll_out() {
        for (phase, version, shown) in [
            (Phase::RollingOut, Some("1.0.0"), Phase::Degraded),
            (Phase::RollingOut, None, Phase::Pending),
            (Phase::Migrating, Some("1.0.0"), Phase::Degraded),
            (Phase::Ready, Some("1.0.0"), Phase::Degraded),
        ] {
            let decision = told(decided(phase, version), &[Problem::waiting("a Service", "it goes"), refused()]);
            assert_eq!(decision.phase, shown, "{phase:?} {version:?}");
            for (type_, status, reason) in [
                (ConditionType::Ready, "False", "ApplyFailed"),
                (ConditionType::Degraded, "True", "ApplyFailed"),
                (ConditionType::Progressing, "False", "Blocked"),
            ] {
                let (is, why, _) = condition(&decision, type_);
                assert_eq!((is, why), (status, reason), "{type_:?}");
            }
        }
        assert_eq!(told(decided(Phase::Paused, None), &[refused()]).phase, Phase::Paused);
    }

    #[test]
    fn what_comes_back_by_itself_is_a_fault_and_what_passes_is_none() {
        let decision = told(decided(Phase::RollingOut, Some("1.0.0")), &[Problem::unavailable("refused".to_owned())]);
        assert_eq!(decision.phase, Phase::Degraded);
        assert_eq!(condition(&decision, ConditionType::Degraded), ("True", "ConsulUnavailable", "refused"));
        assert_eq!(condition(&decision, ConditionType::Progressing).0, "True");

        let decision = told(decided(Phase::Ready, Some("1.0.0")), &[Problem::waiting("Job a", "it goes")]);
        assert_eq!(decision.phase, Phase::RollingOut);
        assert_eq!(condition(&decision, ConditionType::Ready), ("False", "Terminating", "Job a: it goes"));
        assert_eq!(condition(&decision, ConditionType::Degraded).0, "False");
    }

    /// Of what is wrong nothing is kept back, and nothing said twice.
    #[test]
    fn the_message_has_all() {
        let mut decision = decided(Phase::Degraded, Some("1.0.0"));
        let shop = fixtures::postgres();
        let known = "there is no Secret db; there is no Secret ca";
        set(&shop, &mut decision.conditions, ConditionType::Degraded, "True", "SecretNotFound", known, NOW);
        let passing = Problem::waiting("Job a", "it goes");

        let only_passing = told(decision.clone(), std::slice::from_ref(&passing));
        let all = format!("{known}; Job a: it goes");
        assert_eq!(condition(&only_passing, ConditionType::Ready), ("False", "SecretNotFound", all.as_str()));
        assert_eq!(condition(&only_passing, ConditionType::Degraded), ("True", "SecretNotFound", known));

        let again = Problem::fault("SecretsUnusable", "there is no Secret db".to_owned());
        let decision = told(decision, &[passing, refused(), refused(), again]);
        let refused = refused().message;
        let wrong = format!("{refused}; there is no Secret db; {known}");
        let all = format!("{wrong}; Job a: it goes");
        assert_eq!(condition(&decision, ConditionType::Ready), ("False", "ApplyFailed", all.as_str()));
        assert_eq!(condition(&decision, ConditionType::Degraded), ("True", "ApplyFailed", wrong.as_str()));
    }
}
