//! What a pod asks of its node, and what it may use.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};

/// What an idle process needs with room for a burst: 100m is some thousand requests a second.
const CPU_REQUEST: &str = "100m";
/// An idle process has some 14 MiB; under load its connections, caches and queues stay within this.
const MEMORY_REQUEST: &str = "64Mi";
/// Argon2 takes 19 MiB for each password that is hashed at once. Beyond this something leaks.
const MEMORY_LIMIT: &str = "256Mi";

/// The defaults, and over them what the spec says. There is no limit of CPU: it would stop a process in the middle of a
/// request although the node idles.
pub(super) fn of(wanted: Option<&ResourceRequirements>) -> ResourceRequirements {
    let wanted = wanted.cloned().unwrap_or_default();
    let mut limits = over([("memory", MEMORY_LIMIT)], wanted.limits);
    let requests = over([("cpu", CPU_REQUEST), ("memory", MEMORY_REQUEST)], wanted.requests);
    if let (Some(asked), Some(limit)) = (requests.get("memory"), limits.get("memory"))
        && is_default(limit, MEMORY_LIMIT)
        && !is_default(asked, MEMORY_REQUEST)
    {
        // A request above the default limit would be refused; the pod then may use what it asks for.
        limits.insert("memory".to_owned(), larger(asked, limit).clone());
    }
    let requests = requests.into_iter().map(|(name, asked)| {
        let limit = limits.get(&name);
        let within = limit.filter(|limit| defaulted(&name, &asked) && less(limit, &asked)).cloned();
        (name, within.unwrap_or(asked))
    });
    ResourceRequirements { requests: Some(requests.collect()), limits: Some(limits.clone()), claims: wanted.claims }
}

fn over<const N: usize>(
    defaults: [(&str, &str); N],
    wanted: Option<BTreeMap<String, Quantity>>,
) -> BTreeMap<String, Quantity> {
    let mut all: BTreeMap<_, _> = defaults.map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned()))).into();
    all.extend(wanted.unwrap_or_default());
    all
}

fn is_default(quantity: &Quantity, default: &str) -> bool {
    quantity.0 == default
}

fn defaulted(name: &str, quantity: &Quantity) -> bool {
    matches!((name, quantity.0.as_str()), ("cpu", CPU_REQUEST) | ("memory", MEMORY_REQUEST))
}

fn less(a: &Quantity, b: &Quantity) -> bool {
    matches!((amount(&a.0), amount(&b.0)), (Some(a), Some(b)) if a < b)
}

fn larger<'a>(a: &'a Quantity, b: &'a Quantity) -> &'a Quantity {
    if less(a, b) { b } else { a }
}

/// The number that a quantity stands for, if it is one.
pub(crate) fn amount(quantity: &str) -> Option<f64> {
    let split = quantity.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-')).unwrap_or(quantity.len());
    let (number, suffix) = quantity.split_at(split);
    let number: f64 = number.parse().ok()?;
    let factor = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0_f64.powi(2),
        "Gi" => 1024.0_f64.powi(3),
        "Ti" => 1024.0_f64.powi(4),
        "Pi" => 1024.0_f64.powi(5),
        "Ei" => 1024.0_f64.powi(6),
        exponent => 10_f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, Quantity> {
        entries.iter().map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned()))).collect()
    }

    fn wanted(requests: &[(&str, &str)], limits: &[(&str, &str)]) -> ResourceRequirements {
        ResourceRequirements { requests: Some(map(requests)), limits: Some(map(limits)), claims: None }
    }

    #[test]
    fn what_is_left_out_has_the_defaults() {
        let made = of(None);
        assert_eq!(
            (made.requests, made.limits),
            (Some(map(&[("cpu", "100m"), ("memory", "64Mi")])), Some(map(&[("memory", "256Mi")])))
        );
        let made = of(Some(&wanted(&[("cpu", "1")], &[("cpu", "2")])));
        assert_eq!(made.requests, Some(map(&[("cpu", "1"), ("memory", "64Mi")])));
        assert_eq!(made.limits, Some(map(&[("cpu", "2"), ("memory", "256Mi")])));
    }

    #[test]
    fn a_default_never_makes_what_was_asked_for_invalid() {
        let made = of(Some(&wanted(&[("memory", "1Gi")], &[])));
        assert_eq!(made.limits, Some(map(&[("memory", "1Gi")])));
        let made = of(Some(&wanted(&[], &[("memory", "32Mi"), ("cpu", "50m")])));
        assert_eq!(made.requests, Some(map(&[("cpu", "50m"), ("memory", "32Mi")])));
    }

    #[test]
    fn quantities_are_numbers() {
        for (text, number) in
            [("1", 1.0), ("100m", 0.1), ("1.5Gi", 1.5 * 1024.0 * 1024.0 * 1024.0), ("2e3", 2000.0), ("1E", 1e18)]
        {
            assert_eq!(amount(text), Some(number), "{text}");
        }
        for bad in ["", "abc", "1 Gi", "Gi", "1gi", "1e", "--1"] {
            assert_eq!(amount(bad), None, "{bad}");
        }
    }
}
