//! docs/OPERATIONS.md has a row for everything that the operator says: phases, conditions, the reasons of conditions and
//! events, and metrics.
//!
//! Reasons are words in the code, wherever something is found out, so it is the code that is read: each word in CamelCase is
//! a reason, or one of those that are listed here as something else. A new one is missing until it is the one or the other.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use kube::CustomResourceExt as _;
use serde_json::Value;
use shop_operator::shop::{ConditionType, Shop};

/// The section that is about the operator.
const SECTION: &str = "\n## Shops on Kubernetes\n";
/// Where words in CamelCase are what objects of Kubernetes are made of.
const OBJECTS: [&str; 3] = ["build", "shop", "cluster/kind.rs"];
/// Words that are read, or written elsewhere than where a reason goes.
const NO_REASONS: [&str; 22] = [
    // Names of types, for people who debug.
    "ApiLeases",
    "Cluster",
    "Controller",
    "ControllerOptions",
    // What the API server and the kubelet say, and what is said instead.
    "Apply",
    "Conflict",
    "ErrImagePull",
    "Error",
    "Failed",
    "False",
    "NewReplicaSetAvailable",
    "PodScheduled",
    "Progressing",
    "ReplicaFailure",
    "Succeeded",
    "True",
    // Parts of an event besides its reason.
    "Normal",
    "Reconcile",
    "Warning",
    // Kinds of a manifest, a Service without an address.
    "Secret",
    "Shop",
    "None",
];
/// Reasons that are passed on, of pods and Deployments, without being named in the code.
const PASSED_ON: [&str; 2] = ["ProgressDeadlineExceeded", "SchedulingGated"];
/// What names of metrics begin with in the code.
const METRICS: &str = "\"shop.operator.";

#[test]
fn the_runbook_has_what_the_operator_says_and_nothing_else() {
    let text = sources().concat();
    let mut said = reasons(&text);
    said.extend(phases());
    said.extend(ConditionType::ALL.map(|condition| condition.as_str().to_owned()));
    said.extend(metrics(&text));
    for known in ["Serving", "VolumeConflict", "ConsulAbandoned", "RollingOut", "shop_operator_watch_age_seconds"] {
        assert!(said.contains(known), "{known} is not found in what the operator says");
    }
    let told = rows();
    let missing: Vec<_> = said.difference(&told).collect();
    assert!(missing.is_empty(), "docs/OPERATIONS.md has no row for {missing:?}");
    said.extend(PASSED_ON.map(str::to_owned));
    let stale: Vec<_> = told.difference(&said).collect();
    assert!(stale.is_empty(), "docs/OPERATIONS.md has rows for what the operator does not say: {stale:?}");
}

/// The code of the operator, without its tests and without what is commented on.
fn sources() -> Vec<String> {
    let root = Path::new("src");
    let mut files = Vec::new();
    find(root, &mut files);
    let says = |file: &&PathBuf| {
        let path = file.strip_prefix(root).unwrap();
        !OBJECTS.iter().any(|objects| path.starts_with(objects))
    };
    files.iter().filter(says).map(|file| code(&fs::read_to_string(file).unwrap())).collect()
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap_or_default();
        if stem == "tests" || stem == "fixtures" {
            continue;
        }
        if path.is_dir() {
            find(&path, files);
        } else {
            files.push(path);
        }
    }
}

fn code(source: &str) -> String {
    let without_tests = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = without_tests.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Texts that are one word in CamelCase and no more.
fn reasons(text: &str) -> BTreeSet<String> {
    let words = text.split('"').filter(|word| is_camel_case(word) && !NO_REASONS.contains(word));
    words.map(str::to_owned).collect()
}

fn is_camel_case(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.chars().all(|letter| letter.is_ascii_alphabetic())
        && word.chars().any(|letter| letter.is_ascii_lowercase())
}

/// As the schema has them.
fn phases() -> Vec<String> {
    let definition = serde_json::to_value(Shop::crd()).unwrap();
    let phase = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/phase/enum";
    let phases = definition.pointer(phase).and_then(Value::as_array).unwrap();
    phases.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// By the names that Prometheus gives them: dots become underscores, then comes the unit, then what a counter is.
fn metrics(text: &str) -> Vec<String> {
    let named = |(at, _): (usize, &str)| {
        let made = text[..at].trim_end_matches('(');
        let rest = &text[at + 1..];
        let (name, rest) = rest.split_once('"').unwrap();
        let built = rest.split(".build()").next().unwrap_or_default();
        let unit = if built.contains(".with_unit(\"s\")") { "_seconds" } else { "" };
        let total = if made.ends_with("_counter") { "_total" } else { "" };
        format!("{}{unit}{total}", name.replace('.', "_"))
    };
    text.match_indices(METRICS).map(named).collect()
}

/// What stands in the first column of a table of the section, without labels and values.
fn rows() -> BTreeSet<String> {
    let text = fs::read_to_string("../docs/OPERATIONS.md").unwrap();
    let section = text.split(SECTION).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap_or_default();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let named = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let named = named.map(|name| name.split('{').next().unwrap_or_default());
    named.filter(|name| !name.contains('/')).map(str::to_owned).collect()
}
