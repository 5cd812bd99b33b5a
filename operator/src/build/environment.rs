//! What a process is told: variables, and the files that some of them name.

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, SecretKeySelector};
use kube::ResourceExt as _;

use super::{names, pod::folder};
use crate::shop::{Component, DatabaseService, SecretKeyReference, Shop};

/// How long resolvers get to notice that a pod leaves.
const SERVICE_DRAIN_LEAD: &str = "3s";
/// Proxies in front of the gateway take longer: endpoints, the controller, its reload.
const GATEWAY_DRAIN_LEAD: &str = "5s";

/// Of a pod that serves.
pub(super) fn serving(shop: &Shop, component: Component) -> Vec<EnvVar> {
    let mut variables = vec![
        value("SHOP_NAME", &names::shop(shop)),
        value("SHOP_NAMESPACE", &shop.namespace().unwrap_or_default()),
        value("SHOP_UID", &shop.uid().unwrap_or_default()),
        value("SHOP_CONSUL_ADDRESS", &shop.spec.consul.address),
        value("SHOP_CONSUL_REGISTRATION", "catalog"),
        field("SHOP_INSTANCE_ID", "metadata.uid"),
        field("SHOP_ADVERTISE", "status.podIP"),
        value("SHOP_SETTINGS_FILE", &format!("{}/{}", folder::SETTINGS, names::SETTINGS_KEY)),
        value("SHOP_KEY_BUNDLE", &format!("{}/{}", folder::KEYS, names::KEYS_KEY)),
        value("SHOP_SIGNING_KEYS", &format!("{}/{}", folder::SIGNING, names::SIGNING_KEYS_KEY)),
        value("SHOP_LOG_FORMAT", "json"),
    ];
    if shop.spec.consul.service_token_secret_ref.is_some() {
        variables.push(value("SHOP_CONSUL_TOKEN_FILE", &format!("{}/{}", folder::CONSUL_TOKEN, folder::TOKEN_FILE)));
    }
    if shop.spec.consul.ca_secret_ref.is_some() {
        variables.push(value("SHOP_CONSUL_CA_FILE", &format!("{}/{}", folder::CONSUL_CA, folder::CA_FILE)));
    }
    if let Some(endpoint) = &shop.spec.telemetry.otlp_endpoint {
        variables.push(value("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint));
    }
    for callee in component.calls() {
        let name = format!("SHOP_{}_ADDRESS", callee.name().to_uppercase());
        variables.push(value(&name, &format!("{}:{}", names::process(shop, *callee), callee.port())));
    }
    if let Some(service) = component.database() {
        variables.push(database(shop, service));
        variables.push(secret("SHOP_CURSOR_SECRET", &names::secrets(shop), names::CURSOR_SECRET_KEY));
    }
    variables.extend(own(shop, component));
    variables
}

/// What only one process is told.
fn own(shop: &Shop, component: Component) -> Vec<EnvVar> {
    match component {
        Component::User => vec![value("SHOP_DRAIN_LEAD", SERVICE_DRAIN_LEAD)],
        Component::Product => {
            vec![value("SHOP_DRAIN_LEAD", SERVICE_DRAIN_LEAD), value("SHOP_CURRENCY", &shop.spec.currency)]
        }
        Component::Order => {
            let mut variables = vec![
                value("SHOP_DRAIN_LEAD", SERVICE_DRAIN_LEAD),
                secret("SHOP_PAYMENT_WEBHOOK_SECRET", &names::secrets(shop), names::PAYMENT_WEBHOOK_SECRET_KEY),
            ];
            if let Some(sink) = &shop.spec.events.sink {
                variables.push(value("SHOP_EVENT_SINK", sink));
                variables.push(secret("SHOP_EVENT_SECRET", &names::secrets(shop), names::EVENT_SECRET_KEY));
            }
            variables
        }
        Component::Gateway => {
            let mut variables = vec![value("SHOP_DRAIN_LEAD", GATEWAY_DRAIN_LEAD)];
            if !shop.spec.gateway.trusted_proxies.is_empty() {
                variables.push(value("SHOP_TRUSTED_PROXIES", &shop.spec.gateway.trusted_proxies.join(",")));
            }
            variables
        }
    }
}

/// Where the database of a service is.
pub(super) fn database(shop: &Shop, service: DatabaseService) -> EnvVar {
    match shop.spec.database.url_of(service) {
        Some(SecretKeyReference { name, key }) => secret("DATABASE_URL", name, key),
        None => value("DATABASE_URL", &format!("sqlite:{}", file(service))),
    }
}

/// The SQLite file of a service.
pub(super) fn file(service: DatabaseService) -> String {
    format!("{}/{}.db", folder::DATA, service.name())
}

/// Who the first admin is.
pub(super) fn admin(shop: &Shop) -> [EnvVar; 2] {
    [
        secret("SHOP_ADMIN_EMAIL", &names::admin(shop), names::ADMIN_EMAIL_KEY),
        secret("SHOP_ADMIN_PASSWORD", &names::admin(shop), names::ADMIN_PASSWORD_KEY),
    ]
}

pub(super) fn value(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.to_owned()), ..EnvVar::default() }
}

fn field(name: &str, path: &str) -> EnvVar {
    let field_ref = ObjectFieldSelector { api_version: Some("v1".to_owned()), field_path: path.to_owned() };
    from(name, EnvVarSource { field_ref: Some(field_ref), ..EnvVarSource::default() })
}

fn secret(name: &str, secret: &str, key: &str) -> EnvVar {
    let secret_key_ref = SecretKeySelector { name: secret.to_owned(), key: key.to_owned(), optional: None };
    from(name, EnvVarSource { secret_key_ref: Some(secret_key_ref), ..EnvVarSource::default() })
}

fn from(name: &str, source: EnvVarSource) -> EnvVar {
    EnvVar { name: name.to_owned(), value_from: Some(source), ..EnvVar::default() }
}
