//! The way from outside to the gateway.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend, IngressSpec,
    IngressTLS, ServiceBackendPort,
};

use super::names;
use crate::shop::{Component, Shop};

pub(super) fn build(shop: &Shop, allowed: bool) -> Vec<Ingress> {
    let wanted = shop.spec.gateway.ingress.as_ref().filter(|_| allowed);
    wanted.map(|wanted| ingress(shop, wanted)).into_iter().collect()
}

fn ingress(shop: &Shop, wanted: &crate::shop::Ingress) -> Ingress {
    let labels = names::process_labels(shop, Component::Gateway);
    let mut metadata = names::metadata(shop, names::process(shop, Component::Gateway), labels);
    if !wanted.annotations.is_empty() {
        metadata.annotations = Some(wanted.annotations.clone());
    }
    let backend = IngressBackend {
        service: Some(IngressServiceBackend {
            name: names::process(shop, Component::Gateway),
            port: Some(ServiceBackendPort {
                name: Some(names::port(Component::Gateway).to_owned()),
                ..ServiceBackendPort::default()
            }),
        }),
        ..IngressBackend::default()
    };
    let path = HTTPIngressPath { path: Some("/".to_owned()), path_type: "Prefix".to_owned(), backend };
    let tls = wanted
        .tls_secret_name
        .as_ref()
        .map(|secret| vec![IngressTLS { hosts: Some(vec![wanted.host.clone()]), secret_name: Some(secret.clone()) }]);
    Ingress {
        metadata,
        spec: Some(IngressSpec {
            ingress_class_name: wanted.class_name.clone(),
            rules: Some(vec![IngressRule {
                host: Some(wanted.host.clone()),
                http: Some(HTTPIngressRuleValue { paths: vec![path] }),
            }]),
            tls,
            ..IngressSpec::default()
        }),
        ..Ingress::default()
    }
}
