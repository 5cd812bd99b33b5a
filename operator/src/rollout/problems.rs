//! What is wrong with a spec or in its way, and what can't be done because of it. The rest goes on.

use kube::ResourceExt as _;
use shop_types::settings;

use crate::{
    build::{names, resources::amount},
    observed::{Observed, Reference, Scope},
    shop::{Component, DatabaseService, Engine, SecretKeyReference, Shop, ShopSpec},
};

/// Something that somebody has to put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// What can't be made or changed because of it; with `None` everything can.
    pub(super) scope: Option<Scope>,
    /// CamelCase.
    pub(super) reason: &'static str,
    /// What is wrong, where, and what to do.
    pub(super) message: String,
}

/// All of them.
pub(super) fn find(shop: &Shop, observed: &Observed) -> Vec<Problem> {
    let mut problems = references(shop, observed);
    problems.extend(missing_secrets(shop, observed));
    problems.extend(conflicts(observed));
    problems.extend(resources(shop));
    if shop.spec.database.engine == Engine::Sqlite {
        problems.extend(DatabaseService::ALL.into_iter().filter_map(|service| claim(shop, observed, service)));
    }
    if let Err(error) = settings(shop) {
        problems.push(Problem {
            scope: None,
            reason: "InvalidSettings",
            message: format!("spec.settings.{error}; the settings before it stay in force"),
        });
    }
    problems
}

/// The settings as the processes read them.
pub(super) fn settings(shop: &Shop) -> Result<String, String> {
    let document = serde_json::to_string(&shop.spec.settings).map_err(|error| error.to_string())?;
    settings::Settings::parse(document.as_bytes()).map_err(|error| error.to_string())?;
    Ok(document)
}

/// Whether something keeps a process from being made or changed.
pub(super) fn blocks(problems: &[Problem], component: Component) -> bool {
    problems
        .iter()
        .any(|problem| matches!(problem.scope, Some(Scope::Shop)) || problem.scope == Some(Scope::Process(component)))
}

/// Whether something keeps the Ingress from being made.
pub(super) fn blocks_ingress(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| matches!(problem.scope, Some(Scope::Shop | Scope::Ingress)))
}

fn references(shop: &Shop, observed: &Observed) -> Vec<Problem> {
    let mut problems = Vec::new();
    let consul = &shop.spec.consul;
    let consul = [
        ("spec.consul.operatorTokenSecretRef", &consul.operator_token_secret_ref, None),
        ("spec.consul.serviceTokenSecretRef", &consul.service_token_secret_ref, Some(Scope::Shop)),
        ("spec.consul.caSecretRef", &consul.ca_secret_ref, Some(Scope::Shop)),
    ];
    for (path, reference, scope) in consul {
        problems.extend(reference.as_ref().and_then(|reference| missing(observed, path, reference, scope)));
    }
    let engine = match shop.spec.database.engine {
        Engine::Sqlite => return problems,
        Engine::Postgres => "postgres",
        Engine::Mysql => "mysql",
    };
    for service in DatabaseService::ALL {
        let scope = Some(Scope::Process(service.component()));
        let path = format!("spec.database.{engine}.{}.urlSecretRef", service.name());
        problems.extend(if let Some(reference) = shop.spec.database.url_of(service) {
            missing(observed, &path, reference, scope)
        } else {
            let message = format!("{path}: engine {engine} needs the URL of each service's database");
            Some(Problem { scope, reason: "InvalidDatabase", message })
        });
    }
    problems
}

fn missing(observed: &Observed, path: &str, reference: &SecretKeyReference, scope: Option<Scope>) -> Option<Problem> {
    let SecretKeyReference { name, key } = reference;
    let (reason, message) = match observed.references.get(reference) {
        Some(Reference::Found { .. }) => return None,
        Some(Reference::NoSecret) => ("SecretNotFound", format!("{path}: there is no Secret {name}; make it")),
        Some(Reference::NoKey) => ("SecretKeyNotFound", format!("{path}: the Secret {name} has no key {key}; add it")),
        Some(Reference::Unknown(error)) => (
            "SecretUnreadable",
            format!("{path}: the Secret {name} can't be read, what was made from it stays: {error}"),
        ),
        None => ("SecretUnreadable", format!("{path}: the Secret {name} was not read")),
    };
    Some(Problem { scope, reason, message })
}

fn missing_secrets(shop: &Shop, observed: &Observed) -> Vec<Problem> {
    let pull = shop.spec.image.pull_secrets.iter().map(|secret| ("spec.image.pullSecrets", &secret.name));
    let ingress = shop.spec.gateway.ingress.as_ref();
    let certificate = ingress.and_then(|ingress| ingress.tls_secret_name.as_ref());
    let named = pull.chain(certificate.map(|name| ("spec.gateway.ingress.tlsSecretName", name)));
    let missing = named.filter(|(_, name)| observed.missing_secrets.contains(name));
    missing
        .map(|(path, name)| Problem {
            scope: None,
            reason: "SecretNotFound",
            message: format!("{path}: there is no Secret {name}; make it"),
        })
        .collect()
}

fn conflicts(observed: &Observed) -> Vec<Problem> {
    let conflicts = observed.conflicts.iter().map(|conflict| Problem {
        scope: Some(conflict.scope),
        reason: conflict.reason,
        message: format!("{} belongs to {}; choose another name or remove it", conflict.what, conflict.owner),
    });
    conflicts.collect()
}

/// One quantity that is none would have the whole Deployment refused.
fn resources(shop: &Shop) -> Vec<Problem> {
    let mut problems = Vec::new();
    for component in Component::ROLL_ORDER {
        let Some(resources) = shop.spec.resources(component) else { continue };
        let mut wrong = |path: &str, what: String| {
            problems.push(Problem {
                scope: Some(Scope::Process(component)),
                reason: "InvalidResources",
                message: format!("{}.resources.{path}: {what}", ShopSpec::path(component)),
            });
        };
        for (list, quantities) in [("requests", &resources.requests), ("limits", &resources.limits)] {
            for (name, quantity) in quantities.iter().flatten() {
                if amount(&quantity.0).is_none_or(|amount| amount < 0.0) {
                    wrong(&format!("{list}.{name}"), format!("{:?} is no quantity such as 250m or 128Mi", quantity.0));
                }
            }
        }
        for (name, asked) in resources.requests.iter().flatten() {
            let limit = resources.limits.as_ref().and_then(|limits| limits.get(name));
            if let Some(limit) = limit
                && amount(&asked.0) > amount(&limit.0)
            {
                wrong(&format!("requests.{name}"), format!("{} is more than the limit, {}", asked.0, limit.0));
            }
        }
    }
    problems
}

fn claim(shop: &Shop, observed: &Observed, service: DatabaseService) -> Option<Problem> {
    let name = names::claim(shop, service);
    let claim = observed.claims.iter().find(|claim| claim.name_any() == name)?;
    let scope = Some(Scope::Process(service.component()));
    if claim.metadata.deletion_timestamp.is_some() {
        let message = format!("the volume {name} is being deleted; a new one is made when it is gone");
        return Some(Problem { scope, reason: "Terminating", message });
    }
    let adopted = shop.annotations().get(names::ADOPT).is_some_and(|value| value == "true");
    if claim.annotations().get(names::SHOP_UID) != shop.uid().as_ref() && !adopted {
        let message = format!(
            "the volume {name} holds the data of an earlier Shop; delete it, or annotate this Shop with {}=true to use it",
            names::ADOPT
        );
        return Some(Problem { scope, reason: "VolumeConflict", message });
    }
    let wanted = shop.spec.database.sqlite.as_ref();
    let class = wanted.and_then(|sqlite| sqlite.storage_class_name.as_ref());
    let has = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_ref());
    if class.is_some() && class != has {
        let message =
            format!("spec.database.sqlite.storageClassName: the volume {name} can't change its class; it stays");
        return Some(Problem { scope: None, reason: "VolumeImmutable", message });
    }
    let asked = wanted.and_then(|sqlite| sqlite.storage.as_deref());
    let has = super::claims::size(claim);
    if let (Some(asked), Some(has)) = (asked, has)
        && amount(asked) < amount(has)
    {
        let message = format!("spec.database.sqlite.storage: the volume {name} can't shrink from {has}; it stays");
        return Some(Problem { scope: None, reason: "VolumeImmutable", message });
    }
    None
}
