//! Who may talk to whom: nobody, but for what is allowed here.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
        NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use kube::ResourceExt as _;

use super::names::{self, ADMIN_PORT};
use crate::shop::{Component, DatabaseService, Engine, Shop};

const DNS_PORT: i32 = 53;
/// Where a collector takes OTLP over gRPC, unless its URL says otherwise.
const OTLP_PORT: i32 = 4317;

/// What one policy adds to nothing.
#[derive(Default)]
struct Allowed {
    ingress: Vec<NetworkPolicyIngressRule>,
    egress: Vec<NetworkPolicyEgressRule>,
}

pub(super) fn build(shop: &Shop, database_ports: &BTreeMap<DatabaseService, i32>) -> Vec<NetworkPolicy> {
    let mut policies = vec![deny(shop), dns(shop), admin(shop)];
    policies.extend(Component::ROLL_ORDER.map(|component| process(shop, component)));
    if shop.spec.database.engine != Engine::Sqlite {
        policies.extend(DatabaseService::ALL.map(|service| database(shop, service, database_ports)));
    }
    policies
}

/// Every pod of the shop, Jobs' too, and nothing in or out.
fn deny(shop: &Shop) -> NetworkPolicy {
    let mut policy = policy(shop, "default-deny", everything(shop), Allowed::default());
    policy.spec.get_or_insert_default().policy_types = Some(vec!["Ingress".to_owned(), "Egress".to_owned()]);
    policy
}

/// Names are looked up wherever the cluster does that: its DNS may be pods, a cache on the node, or outside.
fn dns(shop: &Shop) -> NetworkPolicy {
    let rule = NetworkPolicyEgressRule { ports: Some(vec![port("UDP", DNS_PORT), port("TCP", DNS_PORT)]), to: None };
    policy(shop, "dns", everything(shop), Allowed { egress: vec![rule], ..Allowed::default() })
}

/// Probes come from the node, which every enforcer lets through to its own pods; metrics are read from within the cluster.
fn admin(shop: &Shop) -> NetworkPolicy {
    let from = NetworkPolicyPeer { namespace_selector: Some(LabelSelector::default()), ..NetworkPolicyPeer::default() };
    let rule = NetworkPolicyIngressRule { from: Some(vec![from]), ports: Some(vec![port("TCP", ADMIN_PORT)]) };
    policy(shop, "admin", everything(shop), Allowed { ingress: vec![rule], ..Allowed::default() })
}

/// A process is called by those that call it and calls those that it calls; besides it speaks to Consul and the
/// collector, and order to who takes its events.
fn process(shop: &Shop, component: Component) -> NetworkPolicy {
    let callers = Component::ROLL_ORDER.into_iter().filter(|caller| caller.calls().contains(&component));
    let from: Vec<_> = callers.map(|caller| pods_of(shop, caller)).collect();
    let ingress = NetworkPolicyIngressRule {
        // The gateway is for everyone: its clients come through a controller, wherever that runs.
        from: (component != Component::Gateway).then_some(from),
        ports: Some(vec![port("TCP", component.port())]),
    };
    let called = component.calls().iter().map(|callee| NetworkPolicyEgressRule {
        to: Some(vec![pods_of(shop, *callee)]),
        ports: Some(vec![port("TCP", callee.port())]),
    });
    let mut egress: Vec<_> = called.collect();
    // A policy can't name a host, and what a name stands for may be pods or machines: the port is what is known.
    egress.extend(port_of_url(&shop.spec.consul.address).map(anywhere));
    let collector = shop.spec.telemetry.otlp_endpoint.as_deref();
    egress.extend(collector.map(|endpoint| anywhere(port_of_url(endpoint).unwrap_or(OTLP_PORT))));
    let sink = shop.spec.events.sink.as_deref().filter(|_| component == Component::Order);
    egress.extend(sink.and_then(port_of_url).map(anywhere));
    let selector = names::select(names::process_selector(shop, component));
    policy(shop, component.name(), selector, Allowed { ingress: vec![ingress], egress })
}

/// A service and the Jobs that work on its database reach the server.
fn database(shop: &Shop, service: DatabaseService, ports: &BTreeMap<DatabaseService, i32>) -> NetworkPolicy {
    let default = match shop.spec.database.engine {
        Engine::Postgres => 5432,
        Engine::Mysql | Engine::Sqlite => 3306,
    };
    let selector = [(names::SHOP_LABEL, shop.name_any()), (names::SERVICE_LABEL, service.name().to_owned())]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
    let rule = anywhere(ports.get(&service).copied().unwrap_or(default));
    let name = format!("{}-database", service.name());
    policy(shop, &name, names::select(selector), Allowed { egress: vec![rule], ..Allowed::default() })
}

fn policy(shop: &Shop, name: &str, pods: LabelSelector, allowed: Allowed) -> NetworkPolicy {
    let Allowed { ingress, egress } = allowed;
    let types = [("Ingress", !ingress.is_empty()), ("Egress", !egress.is_empty())];
    let types = types.into_iter().filter(|(_, given)| *given).map(|(name, _)| name.to_owned());
    NetworkPolicy {
        metadata: names::metadata(shop, format!("{}-{name}", shop.name_any()), names::shared_labels(shop)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(pods),
            policy_types: Some(types.collect()),
            // Empty ones are written too: what somebody else puts there is taken out only where the list is ours.
            ingress: Some(ingress),
            egress: Some(egress),
        }),
    }
}

fn everything(shop: &Shop) -> LabelSelector {
    names::select([(names::SHOP_LABEL.to_owned(), shop.name_any())].into())
}

fn pods_of(shop: &Shop, component: Component) -> NetworkPolicyPeer {
    let selector = names::select(names::process_selector(shop, component));
    NetworkPolicyPeer { pod_selector: Some(selector), ..NetworkPolicyPeer::default() }
}

fn anywhere(number: i32) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule { ports: Some(vec![port("TCP", number)]), to: None }
}

fn port(protocol: &str, number: i32) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(IntOrString::Int(number)),
        ..NetworkPolicyPort::default()
    }
}

/// The port of `scheme://host:port/…`, or the scheme's own.
fn port_of_url(url: &str) -> Option<i32> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    // Within brackets colons belong to the address.
    let after_host = authority.rsplit_once(']').map_or(authority, |(_, after)| after);
    match after_host.rsplit_once(':') {
        Some((_, port)) => port.parse().ok(),
        None if scheme == "https" => Some(443),
        None => Some(80),
    }
}
