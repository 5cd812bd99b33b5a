//! A plan for people.

use std::fmt::Write as _;

use serde_json::Value;

use super::diff::unified;
use crate::{
    build::JobTask,
    controller::{Preview, Shown},
    names,
};

/// How a plan is shown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Style {
    /// Lines that go are red, those that come are green.
    pub(super) colour: bool,
    /// What is made is shown whole.
    pub(super) full: bool,
}

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const BOLD: &str = "\x1b[1m";
const RESET: &str = "\x1b[0m";

/// The whole plan of one Shop.
pub(super) fn render(preview: &Preview, style: Style) -> String {
    let mut text = String::new();
    let shop = format!("Shop {}/{}", names::namespace_of(&preview.shop), names::name_of(&preview.shop));
    if preview.changes.is_empty() {
        line(&mut text, &format!("{shop}: nothing would change."));
    }
    for change in &preview.changes {
        let what = format!("{} {}", change.kind, change.name);
        match &change.shown {
            Shown::Created(object) => {
                head(&mut text, style, &format!("+ {what}"));
                if style.full {
                    body(&mut text, style, &unified("", &yaml(object)));
                }
            }
            Shown::Secret => head(&mut text, style, &format!("+ {what} (what is in it the operator makes)")),
            Shown::Changed { before, after } => {
                head(&mut text, style, &format!("~ {what}"));
                body(&mut text, style, &unified(&yaml(before), &yaml(after)));
            }
            Shown::Recreated { field, before, after } => {
                head(&mut text, style, &format!("- + {what} (made anew, since its {field} can't change)"));
                body(&mut text, style, &unified(&yaml(before), &yaml(after)));
            }
            Shown::Deleted(object) => {
                head(&mut text, style, &format!("- {what}"));
                if style.full {
                    body(&mut text, style, &unified(&yaml(object), ""));
                }
            }
            Shown::Refused(why) => head(&mut text, style, &format!("! {what}: {why}")),
        }
    }
    for step in steps(preview) {
        line(&mut text, &step);
    }
    if !preview.changes.is_empty() {
        line(&mut text, &summary(preview, &shop));
    }
    for obstacle in &preview.settled.obstacles {
        line(&mut text, &format!("In the way: {obstacle}"));
    }
    text
}

/// What happens in which order.
pub(super) fn steps(preview: &Preview) -> Vec<String> {
    let settled = &preview.settled;
    let mut steps = Vec::new();
    let names = |services: Vec<&str>| services.join(", ");
    let of = |task| {
        let jobs = settled.blueprint.jobs.iter().filter(move |job| job.task == task);
        jobs.map(|job| job.service.name()).collect::<Vec<_>>()
    };
    for (task, what) in
        [(JobTask::Preflight, "the image is tried for"), (JobTask::MigrateUp, "databases are migrated:")]
    {
        let services = of(task);
        if !services.is_empty() {
            steps.push(format!("{what} {}", names(services)));
        }
    }
    if !settled.rolls.is_empty() {
        let rolls = settled.rolls.iter().map(|component| component.name()).collect();
        steps.push(format!("pods are replaced, one process after the other: {}", names(rolls)));
    }
    if !settled.contracts.is_empty() {
        let services = settled.contracts.iter().map(|service| service.name()).collect();
        steps.push(format!("the way back to the version before is closed: {}", names(services)));
    }
    steps.iter().enumerate().map(|(at, step)| format!("{}. {step}", at + 1)).collect()
}

fn summary(preview: &Preview, shop: &str) -> String {
    let count = |wanted: fn(&Shown) -> bool| preview.changes.iter().filter(|change| wanted(&change.shown)).count();
    let created = count(|shown| matches!(shown, Shown::Created(_) | Shown::Secret));
    let changed = count(|shown| matches!(shown, Shown::Changed { .. }));
    let deleted = count(|shown| matches!(shown, Shown::Deleted(_)));
    let recreated = count(|shown| matches!(shown, Shown::Recreated { .. }));
    let refused = count(|shown| matches!(shown, Shown::Refused(_)));
    let mut text = format!("{shop}: {created} to create, {changed} to change, {deleted} to delete");
    for (number, what) in [(recreated, "to make anew"), (refused, "refused")] {
        if number > 0 {
            // Writing to a String can't fail.
            let _ = write!(text, ", {number} {what}");
        }
    }
    text + "."
}

fn yaml(object: &Value) -> String {
    // What came as JSON can be written.
    serde_saphyr::to_string(object).unwrap_or_default()
}

fn line(text: &mut String, content: &str) {
    text.push_str(content);
    text.push('\n');
}

fn head(text: &mut String, style: Style, content: &str) {
    if style.colour {
        line(text, &format!("{BOLD}{content}{RESET}"));
    } else {
        line(text, content);
    }
}

fn body(text: &mut String, style: Style, diff: &str) {
    for content in diff.lines() {
        let colour = match content.as_bytes().first() {
            Some(b'-') => RED,
            Some(b'+') => GREEN,
            _ => "",
        };
        if style.colour && !colour.is_empty() {
            line(text, &format!("    {colour}{content}{RESET}"));
        } else {
            line(text, &format!("    {content}"));
        }
    }
}
