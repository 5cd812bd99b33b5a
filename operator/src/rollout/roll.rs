//! What each process shall run next. On a way up, callees come before their callers, each when the one before is ready; on
//! the way back it is the other way round. Until its turn comes a process is left as it is.

use std::cmp::Ordering;

use super::{
    live::{Live, State},
    view::View,
};
use crate::{
    build::{Failure, Process, Release, Replicas, template_digest},
    shop::{Component, Components},
};

/// As many pods as a file allows.
const ONE_POD: i32 = 1;

/// How far a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Course {
    /// It is what the spec says, and serves.
    Settled,
    /// It is being changed, or its pods are not ready yet.
    Moving,
    /// It stays as it is until something else has happened.
    Waiting(Wait),
    /// Somebody has to put something right first; a problem says what.
    Blocked,
    /// What the spec says was tried and taken back.
    TakenBack(Failure),
}

/// What a process waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Its Deployment is being deleted.
    Gone,
    /// Consul: pods that start without it would not be found.
    Consul,
    /// The databases.
    Databases,
    /// Another process, which comes first.
    Process(Component),
}

/// What every process shall run, and how far it is. With no process its Deployment is left alone.
#[derive(Debug)]
pub(super) struct Roll {
    pub(super) processes: Components<Option<Process>>,
    pub(super) courses: Components<Course>,
}

pub(super) fn roll(view: &View<'_>) -> Roll {
    let mut roll = Roll { processes: Components::default(), courses: Components::from_fn(|_| Course::Blocked) };
    let mut turn = Turn { first: None };
    for component in order(view) {
        let (process, course) = next(view, component, &turn);
        let is_through = course == Course::Settled || (course == Course::Blocked && view.is_at_target(component));
        if !is_through && turn.first.is_none() {
            turn.first = Some(component);
        }
        roll.processes[component] = process;
        roll.courses[component] = course;
    }
    roll
}

/// Whose turn it is: the first process that is not through.
struct Turn {
    first: Option<Component>,
}

/// Callers go back first when something that runs is newer than what is wanted.
fn order(view: &View<'_>) -> [Component; 4] {
    let mut order = Component::ROLL_ORDER;
    if view.is_rollback() {
        order.reverse();
    }
    order
}

fn next(view: &View<'_>, component: Component, turn: &Turn) -> (Option<Process>, Course) {
    if view.is_blocked(component) {
        return (None, Course::Blocked);
    }
    match &view.states[component] {
        State::Leaving => (None, Course::Waiting(Wait::Gone)),
        State::Absent => make(view, component, turn),
        State::There(live) if live.release.image == view.target[component].image => stay(view, component, live),
        State::There(live) => replace(view, component, live, turn),
    }
}

/// A process that is not there. In the middle of an upgrade it comes back as what the others still are, until its turn.
fn make(view: &View<'_>, component: Component, turn: &Turn) -> (Option<Process>, Course) {
    let target = view.process(component, view.target[component].clone());
    let Some(before) = view.release_before(component) else {
        return if view.is_migrated(component) {
            (Some(target), Course::Moving)
        } else {
            (None, Course::Waiting(Wait::Databases))
        };
    };
    if turn.first.is_none() && view.are_migrated() {
        (Some(target), Course::Moving)
    } else {
        let mut process = view.process(component, before);
        process.database = None;
        (Some(process), Course::Moving)
    }
}

/// A process that runs the image of the spec; other things about it may be different.
fn stay(view: &View<'_>, component: Component, live: &Live<'_>) -> (Option<Process>, Course) {
    if let Some(back) = take_back(view, component, live) {
        return back;
    }
    let mut process = view.process(component, live.release.clone());
    let wanted = template_digest(view.shop, component, &process);
    let is_same = live.template() == Some(wanted.as_str());
    let settled = is_same && live.is_settled(process.replicas, view.shop.spec.least_replicas(component));
    if view.shop.spec.has_file(component) && !settled {
        // A failure still has something to go back to.
        process.previous = live.previous();
    }
    if !view.is_migrated(component) {
        return (held(view, component, live), Course::Waiting(Wait::Databases));
    }
    match (is_same, settled) {
        (true, true) => (Some(process), Course::Settled),
        (true, false) => (Some(process), Course::Moving),
        (false, _) if view.consul_answers() => (Some(process), Course::Moving),
        (false, _) => (None, Course::Waiting(Wait::Consul)),
    }
}

/// A process that runs another image than that of the spec.
fn replace(view: &View<'_>, component: Component, live: &Live<'_>, turn: &Turn) -> (Option<Process>, Course) {
    let mut process = view.process(component, view.target[component].clone());
    if let Some(failure) = live.failure()
        && failure.image == process.release.image
        && failure.template == template_digest(view.shop, component, &process)
    {
        return (held(view, component, live), Course::TakenBack(failure));
    }
    let wait = match turn.first {
        _ if !view.consul_answers() => Wait::Consul,
        _ if !view.are_migrated() => Wait::Databases,
        Some(first) => Wait::Process(first),
        None => {
            if view.shop.spec.has_file(component) {
                process.previous = Some(live.release.clone());
            }
            return (Some(process), Course::Moving);
        }
    };
    (held(view, component, live), Course::Waiting(wait))
}

/// A process as it is, if applying it replaces no pod: its number may change, and what somebody else changed is put back.
fn held(view: &View<'_>, component: Component, live: &Live<'_>) -> Option<Process> {
    let process = Process {
        database: live.database().map(str::to_owned),
        previous: live.previous(),
        failure: live.failure(),
        ..view.process(component, live.release.clone())
    };
    (live.template() == Some(template_digest(view.shop, component, &process).as_str())).then_some(process)
}

/// On a file, what did not come up makes way for what ran before.
fn take_back(view: &View<'_>, component: Component, live: &Live<'_>) -> Option<(Option<Process>, Course)> {
    let previous = live.previous().filter(|_| view.shop.spec.has_file(component))?;
    let serves = live.is_settled(Replicas::Fixed(ONE_POD), ONE_POD);
    if serves || !view.has_failed(component, &live.release) {
        return None;
    }
    let template = live.template().unwrap_or_default().to_owned();
    let failure = Failure { image: live.release.image.clone(), template };
    let process = Process { failure: Some(failure.clone()), ..view.process(component, previous) };
    Some((Some(process), Course::TakenBack(failure)))
}

/// Which of two versions is newer, where both are versions and not only names.
pub(super) fn compare_versions(a: &str, b: &str) -> Option<Ordering> {
    let parse = |version: &str| semver::Version::parse(version.strip_prefix('v').unwrap_or(version)).ok();
    Some(parse(a)?.cmp_precedence(&parse(b)?))
}

/// Whether a release is newer than another.
pub(super) fn is_newer(release: &Release, than: &Release) -> bool {
    compare_versions(&release.version, &than.version) == Some(Ordering::Greater)
}
