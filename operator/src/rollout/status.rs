//! What is said of a Shop: its phase, its conditions, and each process.

use std::fmt::Write as _;

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::SignedDuration,
};

use super::{
    databases::{Databases, Stage},
    pods::{self, Trouble},
    roll::{Course, Roll, Wait},
    view::View,
};
use crate::shop::{Component, ConditionType, Phase, ServiceStatus};

/// Pods that have only just become ready are registered, and found by their callers, in a moment. After this long it is no
/// moment any more.
const SETTLING: SignedDuration = SignedDuration::from_secs(15);

/// Reason and message of a Shop that waits for somebody.
pub const BLOCKED: (&str, &str) = ("Blocked", "it goes on when what is wrong has been put right; see Degraded");
const NOT_REGISTERED: &str = "NotRegistered";
const PROBE_FAILED: &str = "ProbeFailed";

/// What is said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) phase: Phase,
    pub(super) conditions: Vec<Condition>,
    pub(super) services: Vec<ServiceStatus>,
    pub(super) ready_services: String,
    pub(super) version: Option<String>,
}

/// One condition before it is dated.
struct Verdict {
    holds: bool,
    reason: String,
    message: String,
}

impl Verdict {
    fn new(holds: bool, reason: &str, message: impl Into<String>) -> Self {
        Self { holds, reason: reason.to_owned(), message: message.into() }
    }
}

/// What is wrong or under way, in the words of the conditions.
struct Judgement<'v, 'a> {
    view: &'v View<'a>,
    roll: &'v Roll,
    databases: &'v Databases,
    /// What keeps the shop from being as it should be, the gravest first.
    faults: Vec<Trouble>,
    /// Whether somebody has to do something before it goes on.
    is_stuck: bool,
}

pub(super) fn say(view: &View<'_>, roll: &Roll, databases: &Databases) -> Said {
    let judgement = Judgement::new(view, roll, databases);
    let last = view.shop.status.as_ref();
    let all_settled = judgement.all_settled();
    let ready = judgement.ready();
    // The first is one that a client was answered by.
    let version = if all_settled && (ready.holds || judgement.has_been_ready()) {
        Some(view.shop.spec.version.clone())
    } else {
        last.and_then(|status| status.version.clone())
    };
    let conditions = ConditionType::ALL.map(|kind| {
        let verdict = match kind {
            ConditionType::Ready => Verdict::new(ready.holds, &ready.reason, &*ready.message),
            ConditionType::Progressing => judgement.progressing(ready.holds),
            ConditionType::Degraded => judgement.degraded(),
            ConditionType::DatabaseMigrated => judgement.migrated(),
            ConditionType::ConsulSynced => judgement.synced(),
        };
        dated(view, kind, verdict)
    });
    let settled = roll.courses.iter().filter(|(_, course)| **course == Course::Settled).count();
    Said {
        phase: judgement.phase(ready.holds),
        conditions: conditions.into(),
        services: Component::ROLL_ORDER.map(|component| service(view, component)).into(),
        ready_services: format!("{settled}/{}", Component::ROLL_ORDER.len()),
        version,
    }
}

/// The time of a condition is when it last turned, not when it was last looked at.
fn dated(view: &View<'_>, kind: ConditionType, verdict: Verdict) -> Condition {
    let status = if verdict.holds { "True" } else { "False" };
    let before = view.shop.status.iter().flat_map(|status| &status.conditions);
    let before = before.clone().find(|condition| condition.type_ == kind.as_str() && condition.status == status);
    Condition {
        type_: kind.as_str().to_owned(),
        status: status.to_owned(),
        reason: verdict.reason,
        message: verdict.message,
        observed_generation: view.shop.metadata.generation,
        last_transition_time: before
            .map_or(Time(view.observed.now), |condition| condition.last_transition_time.clone()),
    }
}

fn service(view: &View<'_>, component: Component) -> ServiceStatus {
    let live = view.states[component].live();
    let older = view.pods(component).find(|pod| pods::image(pod) != live.map(|live| live.release.image.as_str()));
    let older = older.and_then(|pod| pod.metadata.annotations.as_ref()?.get(crate::build::names::VERSION).cloned());
    let before = view.shop.status.iter().flat_map(|status| &status.services);
    let before = before.clone().find(|service| service.name == component.name()).and_then(|service| service.schema);
    ServiceStatus {
        name: component.name().to_owned(),
        ready: live.map_or(0, super::live::Live::ready),
        desired: live.map_or(view.shop.spec.least_replicas(component), super::live::Live::replicas),
        registered: view.observed.consul.as_ref().ok().map(|registered| registered.passing[component]),
        version: older.or_else(|| live.map(|live| live.release.version.clone())),
        schema: component
            .database()
            .and_then(|service| view.schema(service).map(|report| report.schema_version).or(before)),
    }
}

impl<'v, 'a> Judgement<'v, 'a> {
    fn new(view: &'v View<'a>, roll: &'v Roll, databases: &'v Databases) -> Self {
        let mut faults: Vec<_> = view
            .problems
            .iter()
            .map(|problem| Trouble { reason: problem.reason.to_owned(), message: problem.message.clone() })
            .collect();
        faults.extend(databases.failures());
        for (component, course) in roll.courses.iter() {
            match course {
                Course::TakenBack(failure) => faults.push(taken_back(view, component, &failure.image)),
                Course::Moving | Course::Blocked => faults.extend(trouble(view, component)),
                Course::Waiting(Wait::Gone) => faults.push(Trouble {
                    reason: "Terminating".to_owned(),
                    message: format!(
                        "the Deployment of {} is being deleted; it is made again when it is gone",
                        component.name()
                    ),
                }),
                Course::Settled | Course::Waiting(_) => {}
            }
        }
        let mut is_stuck = !faults.is_empty();
        if let Err(error) = &view.observed.consul {
            faults.push(Trouble { reason: "ConsulUnavailable".to_owned(), message: unavailable(error) });
        }
        let mut judgement = Self { view, roll, databases, faults, is_stuck };
        let unanswered = judgement.unanswered();
        is_stuck |= !unanswered.is_empty();
        judgement.faults.extend(unanswered);
        Self { is_stuck, ..judgement }
    }

    /// What pods that have been ready for a while are not: registered, and answering.
    fn unanswered(&self) -> Vec<Trouble> {
        let mut faults = Vec::new();
        if !self.all_settled() || self.databases.under_way().is_some() || !self.have_settled() {
            return faults;
        }
        let synced = self.synced();
        if synced.reason == NOT_REGISTERED {
            faults.push(Trouble { reason: synced.reason, message: synced.message });
        }
        if let Some(Err(error)) = &self.view.observed.probe {
            faults.push(Trouble { reason: PROBE_FAILED.to_owned(), message: unanswered(error) });
        }
        faults
    }

    /// Whether every pod has been ready for long enough.
    fn have_settled(&self) -> bool {
        let until = self.view.observed.now - SETTLING;
        Component::ROLL_ORDER.into_iter().all(|component| {
            let mut staying =
                self.view.pods(component).filter(|pod| pod.metadata.deletion_timestamp.is_none()).peekable();
            staying.peek().is_some() && staying.all(|pod| pods::ready_since(pod).is_some_and(|since| since <= until))
        })
    }

    fn all_settled(&self) -> bool {
        self.roll.courses.iter().all(|(_, course)| *course == Course::Settled)
    }

    fn has_been_ready(&self) -> bool {
        self.view.shop.status.as_ref().is_some_and(|status| status.version.is_some())
    }

    fn message(&self) -> String {
        let mut message = String::new();
        for fault in &self.faults {
            let separator = if message.is_empty() { "" } else { "; " };
            let _ = write!(message, "{separator}{}", fault.message);
        }
        message
    }

    fn ready(&self) -> Verdict {
        if let Some(fault) = self.faults.first() {
            return Verdict::new(false, &fault.reason, self.message());
        }
        if let Some((reason, message)) = self.work() {
            return Verdict::new(false, reason, message);
        }
        let synced = self.synced();
        if !synced.holds {
            return Verdict::new(false, &synced.reason, synced.message);
        }
        match &self.view.observed.probe {
            Some(Ok(())) => {
                Verdict::new(true, "Serving", "every process serves, and a request through the gateway was answered")
            }
            Some(Err(error)) => Verdict::new(false, PROBE_FAILED, unanswered(error)),
            None => Verdict::new(false, "NotProbed", "a request through the gateway is yet to be tried"),
        }
    }

    /// What is under way, if anything.
    fn work(&self) -> Option<(&'static str, String)> {
        if let Some(stage) = self.databases.under_way() {
            return Some(match stage {
                Stage::Before => ("Migrating", self.databases.tell()),
                Stage::After => ("Contracting", self.databases.tell()),
            });
        }
        let told: Vec<_> =
            self.roll.courses.iter().filter_map(|(component, course)| self.tell(component, course)).collect();
        let is_rolling = self.roll.courses.iter().any(|(component, course)| self.is_rolling(component, course));
        let reason = if is_rolling || !self.has_been_ready() { "RollingOut" } else { "PodsNotReady" };
        (!told.is_empty()).then(|| (reason, told.join("; ")))
    }

    /// Whether pods are being replaced, rather than one being missing.
    fn is_rolling(&self, component: Component, course: &Course) -> bool {
        match course {
            Course::Settled | Course::Blocked => false,
            Course::Waiting(_) | Course::TakenBack(_) => true,
            Course::Moving => match (self.view.states[component].live(), &self.roll.processes[component]) {
                (Some(live), Some(process)) => {
                    let wanted = crate::build::template_digest(self.view.shop, component, process);
                    live.template() != Some(wanted.as_str()) || !live.has_rolled_out()
                }
                _ => !self.has_been_ready(),
            },
        }
    }

    fn tell(&self, component: Component, course: &Course) -> Option<String> {
        let name = component.name();
        match course {
            Course::Settled | Course::Blocked | Course::TakenBack(_) => None,
            Course::Moving => {
                let live = self.view.states[component].live();
                let (ready, wanted) = live
                    .map_or((0, self.view.shop.spec.least_replicas(component)), |live| (live.ready(), live.replicas()));
                Some(format!("{name}: {ready} of {wanted} pods are ready"))
            }
            Course::Waiting(wait) => Some(match wait {
                Wait::Gone => format!("{name} waits until its Deployment is deleted"),
                Wait::Consul => format!("{name} waits for Consul"),
                Wait::Databases => format!("{name} waits for the databases"),
                Wait::Process(other) => format!("{name} waits for {}", other.name()),
            }),
        }
    }

    fn progressing(&self, is_ready: bool) -> Verdict {
        if is_ready {
            return Verdict::new(false, "Complete", format!("version {} serves", self.view.shop.spec.version));
        }
        let moves = |course: &Course| matches!(course, Course::Moving | Course::Waiting(Wait::Gone));
        let is_at_rest = !self.roll.courses.iter().any(|(_, course)| moves(course));
        if self.is_stuck && (self.databases.has_failed() || (is_at_rest && self.databases.under_way().is_none())) {
            return Verdict::new(false, BLOCKED.0, BLOCKED.1);
        }
        match self.work() {
            Some((reason, message)) => Verdict::new(true, reason, message),
            None => Verdict::new(
                true,
                "Verifying",
                "every process is ready; Consul and a request through the gateway are looked at",
            ),
        }
    }

    fn degraded(&self) -> Verdict {
        match self.faults.first() {
            Some(fault) => Verdict::new(true, &fault.reason, self.message()),
            None => match self.phase_without_faults() {
                Phase::Degraded => {
                    let ready = self.ready();
                    Verdict::new(true, &ready.reason, ready.message)
                }
                _ => Verdict::new(false, "AsExpected", "nothing is wrong"),
            },
        }
    }

    fn migrated(&self) -> Verdict {
        let (holds, reason, message) = self.databases.verdict(self.view);
        Verdict::new(holds, reason, message)
    }

    fn synced(&self) -> Verdict {
        let registered = match &self.view.observed.consul {
            Ok(registered) => registered,
            Err(error) => return Verdict::new(false, "ConsulUnavailable", unavailable(error)),
        };
        if !registered.settings_current {
            return Verdict::new(false, "SettingsNotWritten", "the settings in Consul are not yet those of the spec");
        }
        for component in Component::ROLL_ORDER {
            let ready = self.view.states[component].live().map_or(0, super::live::Live::ready);
            let passing = registered.passing[component];
            if passing < ready {
                let message = format!("{}: {passing} of {ready} ready pods are passing in Consul", component.name());
                return Verdict::new(false, NOT_REGISTERED, message);
            }
        }
        Verdict::new(true, "Synced", "the settings and every ready pod are in Consul")
    }

    fn phase(&self, is_ready: bool) -> Phase {
        match (is_ready, self.faults.is_empty(), self.has_been_ready()) {
            (true, _, _) => Phase::Ready,
            (false, false, true) => Phase::Degraded,
            (false, false, false) => Phase::Pending,
            (false, true, _) => self.phase_without_faults(),
        }
    }

    fn phase_without_faults(&self) -> Phase {
        match self.work() {
            Some(("Migrating" | "Contracting", _)) => Phase::Migrating,
            Some(("PodsNotReady", _)) => Phase::Degraded,
            None if self.ready().holds => Phase::Ready,
            // Pods that have only just become ready are asked and registered in a moment.
            None if self.has_been_ready() && self.was_phase(&[Phase::Ready, Phase::Degraded]) => Phase::Degraded,
            _ => Phase::RollingOut,
        }
    }

    fn was_phase(&self, phases: &[Phase]) -> bool {
        let phase = self.view.shop.status.as_ref().and_then(|status| status.phase);
        phase.is_some_and(|phase| phases.contains(&phase))
    }
}

fn unavailable(error: &str) -> String {
    format!("Consul does not answer, and no roll-out starts without it: {error}")
}

fn unanswered(error: &str) -> String {
    format!("a request through the gateway was not answered: {error}")
}

fn trouble(view: &View<'_>, component: Component) -> Option<Trouble> {
    let name = component.name();
    let mut pods = view.pods(component).filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let of_pod = pods.find_map(|pod| pods::trouble(pod, view.observed.now));
    if let Some(Trouble { reason, message }) = of_pod {
        return Some(Trouble { message: format!("{name}: {reason}: {message}"), reason });
    }
    let (reason, message) = view.states[component].live()?.complaint()?;
    Some(Trouble { message: format!("{name}: {message}"), reason })
}

fn taken_back(view: &View<'_>, component: Component, image: &str) -> Trouble {
    let last = view.shop.status.iter().flat_map(|status| &status.conditions);
    let before = last.clone().find(|condition| {
        condition.type_ == ConditionType::Degraded.as_str()
            && condition.reason == "TakenBack"
            && condition.message.contains(image)
    });
    // The pods that told why are gone with the image.
    let message = before.map_or_else(
        || {
            let release = crate::build::Release { version: String::new(), image: image.to_owned() };
            let words = view.last_words(component, &release).map(|words| format!(": {words}")).unwrap_or_default();
            format!(
                "{}: {image} did not come up and was taken back{words}; change spec.version, or what it failed for",
                component.name()
            )
        },
        |condition| condition.message.clone(),
    );
    Trouble { reason: "TakenBack".to_owned(), message }
}
