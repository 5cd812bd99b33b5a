//! Whether an object of the cluster still is what was applied, and what can't be changed in place. Pure.

use serde_json::{Map, Value};

use crate::cluster::Kind;

/// What is to be done with an object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing: it is as it was applied.
    None,
    /// It is applied again.
    Apply,
    /// This field can't change: the object is deleted, and made anew.
    Recreate(&'static str),
    /// This field can't change, and the object holds what can't be made anew.
    Refuse(&'static str),
}

/// What is to be done. `wanted` has the digest among its annotations.
pub(super) fn change(kind: Kind, live: &Value, wanted: &Value) -> Change {
    if let Some(obstacle) = immutable(kind, live, wanted) {
        return obstacle;
    }
    // What somebody adds to a policy opens what was to be shut.
    let is_whole = kind != Kind::NetworkPolicy || without_nothing(&live["spec"]) == without_nothing(&wanted["spec"]);
    if is_whole && is_part(wanted, live, Field::Any) { Change::None } else { Change::Apply }
}

/// A value without the members that say nothing: those that are null, and lists that are empty. A selector that is empty
/// selects everything, and an empty rule lets everything through: they stay.
fn without_nothing(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let says = |value: &Value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty());
            let said = members.iter().filter(|(_, value)| says(value));
            Value::Object(said.map(|(name, value)| (name.clone(), without_nothing(value))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(without_nothing).collect()),
        other => other.clone(),
    }
}

/// Fields that the API server refuses to change.
fn immutable(kind: Kind, live: &Value, wanted: &Value) -> Option<Change> {
    let differs = |pointer: &str| {
        let wanted = wanted.pointer(pointer)?;
        (live.pointer(pointer) != Some(wanted)).then_some(())
    };
    match kind {
        Kind::Deployment => differs("/spec/selector").map(|()| Change::Recreate("spec.selector")),
        // Whether there is an address at all can't change; which one is the server's business.
        Kind::Service => {
            let headless = |service: &Value| service.pointer("/spec/clusterIP").is_some_and(|ip| ip == "None");
            (headless(live) != headless(wanted)).then_some(Change::Recreate("spec.clusterIP"))
        }
        Kind::PersistentVolumeClaim => ["/spec/storageClassName", "/spec/accessModes"]
            .into_iter()
            .zip(["spec.storageClassName", "spec.accessModes"])
            .find_map(|(pointer, field)| differs(pointer).map(|()| Change::Refuse(field)))
            .or_else(|| {
                let storage = |claim: &Value| quantity(claim.pointer("/spec/resources/requests/storage")?.as_str()?);
                let shrinks = storage(wanted)? < storage(live)?;
                shrinks.then_some(Change::Refuse("spec.resources.requests.storage"))
            }),
        _ => None,
    }
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Any,
    /// An amount, which the server writes in its own way.
    Quantity,
    /// Amounts by name.
    Quantities,
}

/// Fields whose members are amounts, whatever they are of.
const AMOUNTS: [&str; 2] = ["requests", "limits"];
const SIZE_LIMIT: &str = "sizeLimit";

/// Whether all of `wanted` is in `live`, which has defaults and the fields of others besides.
fn is_part(wanted: &Value, live: &Value, field: Field) -> bool {
    match (wanted, live) {
        (Value::Null, _) => true,
        (Value::Object(wanted), Value::Object(live)) => wanted.iter().all(|(name, wanted)| {
            let field = match name.as_str() {
                _ if field == Field::Quantities => Field::Quantity,
                SIZE_LIMIT => Field::Quantity,
                name if AMOUNTS.contains(&name) => Field::Quantities,
                _ => Field::Any,
            };
            live.get(name).map_or_else(|| is_nothing(wanted), |live| is_part(wanted, live, field))
        }),
        (Value::Array(wanted), Value::Array(live)) => is_part_of_list(wanted, live),
        (Value::String(wanted), Value::String(live)) if field == Field::Quantity => {
            wanted == live || quantity(wanted).is_some_and(|wanted| Some(wanted) == quantity(live))
        }
        (wanted, live) => wanted == live,
    }
}

/// Lists of values are one thing; elements of lists of objects may be in another order, and others may have added some.
fn is_part_of_list(wanted: &[Value], live: &[Value]) -> bool {
    if wanted.is_empty() {
        return live.is_empty();
    }
    if wanted.iter().all(Value::is_object) && wanted.len() <= live.len() {
        return wanted.iter().all(|wanted| live.iter().any(|live| is_part(wanted, live, Field::Any)));
    }
    wanted == live
}

/// What the server leaves out when it is empty.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.values().all(is_nothing),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// An amount in thousand-millionths, as `resource.Quantity` of Kubernetes reads it: a signed decimal number, and a suffix that
/// is a power of two, a power of ten, or an exponent. What is finer is rounded away from zero.
fn quantity(text: &str) -> Option<i128> {
    const NANO: i32 = 9;
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let (twos, tens) = powers(suffix)?;
    let tens = tens.checked_add(NANO)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let scale = 10_u128.checked_pow(tens.unsigned_abs())?;
    let amount = digits.checked_mul(1 << twos)?;
    let amount = if tens < 0 { amount.div_ceil(scale) } else { amount.checked_mul(scale)? };
    i128::try_from(amount).ok()?.checked_mul(sign)
}

/// The powers of two and of ten that a suffix stands for.
fn powers(suffix: &str) -> Option<(u32, i32)> {
    let place = |letters: &str, letter: &str| letters.find(letter).filter(|_| letter.len() == 1).map(|at| at + 1);
    if let Some(letter) = suffix.strip_suffix('i') {
        return Some((10 * u32::try_from(place("KMGTPE", letter)?).ok()?, 0));
    }
    let tens = if suffix.is_empty() {
        0
    } else if let Some(place) = place("kMGTPE", suffix) {
        3 * i32::try_from(place).ok()?
    } else if let Some(place) = place("mun", suffix) {
        -3 * i32::try_from(place).ok()?
    } else {
        suffix.strip_prefix(['e', 'E'])?.parse().ok()?
    };
    Some((0, tens))
}

/// Sets an annotation of an object.
pub(super) fn annotate(object: &mut Value, name: &str, value: &str) {
    if let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(Map::new()));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(name.to_owned(), Value::String(value.to_owned()));
        }
    }
}

/// Takes an annotation out of an object.
pub(super) fn take_annotation(object: &mut Value, name: &str) -> Option<String> {
    let annotations = object.pointer_mut("/metadata/annotations")?.as_object_mut()?;
    annotations.remove(name)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_and_what_others_add_are_no_difference_and_what_they_change_is() {
        let wanted = json!({"spec": {
            "containers": [{"name": "user", "env": [{"name": "A", "value": "1"}], "args": ["a"],
                "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi", "example.com/disk": "1e3"}}, "volumeMounts": [{"mountPath": "/tmp"}]}],
            "volumes": [{"name": "tmp", "emptyDir": {}}], "egress": [],
        }});
        let same = |live: &Value| is_part(&wanted, live, Field::Any);
        let live = json!({"spec": {
            "containers": [
                {"name": "injected"},
                {"name": "user", "env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}], "args": ["a"],
                 "resources": {"limits": {"cpu": "1", "memory": "1Gi", "example.com/disk": "1k"}}, "imagePullPolicy": "Always",
                 "volumeMounts": [{"mountPath": "/tmp", "name": "tmp"}]}],
            "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "other"}], "restartPolicy": "Always",
        }});
        assert!(same(&live));
        for (pointer, value) in [
            ("/spec/containers/1/env/1/value", json!("2")),
            ("/spec/containers/1/args", json!(["a", "b"])),
            ("/spec/containers/1/resources/limits/cpu", json!("2")),
            ("/spec/containers/1/name", json!("other")),
            ("/spec/volumes", json!([])),
            ("/spec/containers", json!(null)),
        ] {
            let mut changed = live.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            assert!(!same(&changed), "{pointer}");
        }
        let mut opened = live;
        opened["spec"]["egress"] = json!([{}]);
        assert!(!same(&opened), "a list that was to be empty");
    }

    #[test]
    fn amounts_are_compared_by_what_they_say() {
        for (one, other) in [
            ("1", "1000m"),
            ("1Gi", "1024Mi"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("1k", "1000"),
            ("+1", "1"),
            ("-1", "-1000m"),
            (".5", "500m"),
            ("1.", "1"),
            ("1m", "1000u"),
            ("1u", "1000n"),
            ("1.5u", "1500n"),
            ("0.1n", "1n"),
            ("1e3", "1k"),
            ("1E3", "1k"),
            ("1e+3", "1k"),
            ("+1.5e-3", "1500u"),
            ("1P", "1000T"),
            ("1E", "1000P"),
            ("1Pi", "1024Ti"),
            ("1Ei", "1024Pi"),
        ] {
            assert_eq!(quantity(one), quantity(other), "{one}");
            assert!(quantity(one).is_some());
        }
        assert_ne!(quantity("1G"), quantity("1Gi"));
        assert_ne!(quantity("1m"), quantity("1M"));
        assert_ne!(quantity("1E"), quantity("1Ei"));
        for bad in ["", "much", "1Xi", "1.2.3", "1e", "1i", "1ki", "1K", "1 G", "--1", "+", ".", "Gi", "1e99999999999"]
        {
            assert_eq!(quantity(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_cannot_change_is_made_anew_or_refused() {
        let selector = |name: &str| json!({"spec": {"selector": {"matchLabels": {"name": name}}}});
        assert_eq!(change(Kind::Deployment, &selector("a"), &selector("b")), Change::Recreate("spec.selector"));
        assert_eq!(change(Kind::Deployment, &selector("a"), &selector("a")), Change::None);
        let (headless, not) = (json!({"spec": {"clusterIP": "None"}}), json!({"spec": {}}));
        let live = json!({"spec": {"clusterIP": "10.0.0.1"}});
        assert_eq!(change(Kind::Service, &live, &headless), Change::Recreate("spec.clusterIP"));
        assert_eq!(change(Kind::Service, &live, &not), Change::None);
        let claim = |class: Option<&str>, size: &str| json!({"spec": {"storageClassName": class, "resources": {"requests": {"storage": size}}}});
        let live = claim(Some("fast"), "1Gi");
        assert_eq!(change(Kind::PersistentVolumeClaim, &live, &claim(Some("fast"), "1024Mi")), Change::None);
        assert_eq!(change(Kind::PersistentVolumeClaim, &live, &claim(Some("fast"), "2Gi")), Change::Apply);
        let shrunk = Change::Refuse("spec.resources.requests.storage");
        assert_eq!(change(Kind::PersistentVolumeClaim, &live, &claim(Some("fast"), "1Mi")), shrunk);
        let moved = Change::Refuse("spec.storageClassName");
        assert_eq!(change(Kind::PersistentVolumeClaim, &live, &claim(Some("slow"), "1Gi")), moved);
    }

    #[test]
    fn a_policy_with_more_in_it_than_was_applied_is_another() {
        let rule = json!({"ports": [{"port": 53, "protocol": "UDP"}]});
        let wanted = json!({"spec": {
            "podSelector": {"matchLabels": {"shop": "demo"}}, "policyTypes": ["Egress"], "ingress": [], "egress": [rule],
        }});
        // As the server keeps it.
        let live = json!({"metadata": {"uid": "a"}, "spec": {
            "podSelector": {"matchLabels": {"shop": "demo"}}, "policyTypes": ["Egress"], "egress": [rule],
        }});
        assert_eq!(change(Kind::NetworkPolicy, &live, &wanted), Change::None);
        for (pointer, value) in [
            ("/spec/egress", json!([rule, {}])),
            ("/spec/egress/0/ports", json!([{"port": 53, "protocol": "UDP"}, {"port": 54, "protocol": "UDP"}])),
            ("/spec/egress/0/ports/0", json!({"port": 53, "endPort": 60000, "protocol": "UDP"})),
            ("/spec/egress/0", json!({"ports": rule["ports"], "to": [{"podSelector": {}}]})),
            ("/spec/policyTypes", json!(["Egress", "Ingress"])),
            ("/spec/podSelector", json!({})),
        ] {
            let mut opened = live.clone();
            *opened.pointer_mut(pointer).unwrap() = value;
            assert_eq!(change(Kind::NetworkPolicy, &opened, &wanted), Change::Apply, "{pointer}");
        }
        let mut opened = live;
        opened["spec"]["ingress"] = json!([{}]);
        assert_eq!(change(Kind::NetworkPolicy, &opened, &wanted), Change::Apply, "what was shut is open");
    }
}
