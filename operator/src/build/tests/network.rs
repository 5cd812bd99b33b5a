//! The network policies against every connection that could be tried: what has to get through does, and nothing else.

use k8s_openapi::{
    api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::*;

type Labels = BTreeMap<String, String>;

/// One end of a connection.
#[derive(Debug)]
enum End {
    /// A pod of this namespace with these labels.
    Pod(Labels),
    /// A pod of another namespace.
    Elsewhere,
    /// No pod.
    Outside,
}

/// One end by name.
#[derive(Debug)]
struct Party {
    name: String,
    end: End,
}

/// What a rule is about: an address family has no part in it.
type Port = (&'static str, i32);

const PORTS: [Port; 16] = [
    ("UDP", 53),
    ("TCP", 53),
    ("TCP", 22),
    ("TCP", 80),
    ("TCP", 443),
    ("TCP", 3306),
    ("TCP", 4317),
    ("TCP", 5001),
    ("TCP", 5002),
    ("TCP", 5003),
    ("TCP", 5432),
    ("TCP", 6432),
    ("TCP", 6443),
    ("TCP", 8080),
    ("TCP", 8500),
    ("TCP", 9090),
];
const STRANGERS: [&str; 3] = ["a pod of the namespace", "the gateway of another shop", "a pod elsewhere"];
const OUTSIDE: &str = "a machine";

fn parties(children: &Children) -> Vec<Party> {
    let labels = |template: &k8s_openapi::api::core::v1::PodTemplateSpec| {
        template.metadata.as_ref().unwrap().labels.clone().unwrap()
    };
    let pod = |name: &str, labels: Labels| Party { name: name.to_owned(), end: End::Pod(labels) };
    let mut parties = Vec::new();
    for deployment in &children.deployments {
        let labels = labels(&deployment.spec.as_ref().unwrap().template);
        parties.push(pod(&labels[names::NAME_LABEL].clone(), labels));
    }
    for job in &children.jobs {
        let labels = labels(&job.spec.as_ref().unwrap().template);
        parties.push(pod(&labels[names::NAME_LABEL].clone(), labels));
    }
    let mut other = fixtures::postgres();
    other.metadata.name = Some("other".to_owned());
    parties.push(pod(STRANGERS[0], [("app".to_owned(), "else".to_owned())].into()));
    parties.push(pod(STRANGERS[1], names::process_labels(&other, Component::Gateway)));
    parties.push(Party { name: STRANGERS[2].to_owned(), end: End::Elsewhere });
    parties.push(Party { name: OUTSIDE.to_owned(), end: End::Outside });
    parties
}

/// As the API defines it: a pod that no policy selects for a direction is open in it; else one rule has to match.
struct Policies<'a>(&'a [NetworkPolicy]);

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    In,
    Out,
}

impl Policies<'_> {
    fn let_through(&self, from: &Party, to: &Party, port: Port) -> bool {
        self.allow(Direction::Out, from, to, port) && self.allow(Direction::In, to, from, port)
    }

    fn allow(&self, direction: Direction, own: &Party, other: &Party, port: Port) -> bool {
        let End::Pod(labels) = &own.end else { return true };
        let kind = if direction == Direction::In { "Ingress" } else { "Egress" };
        let selecting: Vec<_> = self
            .0
            .iter()
            .map(|policy| policy.spec.as_ref().unwrap())
            .filter(|spec| spec.policy_types.as_ref().unwrap().iter().any(|it| it == kind))
            .filter(|spec| selects(spec.pod_selector.as_ref().unwrap(), labels))
            .collect();
        selecting.is_empty()
            || selecting.iter().any(|spec| match direction {
                Direction::In => {
                    spec.ingress.iter().flatten().any(|rule| {
                        matches_peer(rule.from.as_deref(), other) && matches_port(rule.ports.as_deref(), port)
                    })
                }
                Direction::Out => {
                    spec.egress.iter().flatten().any(|rule| {
                        matches_peer(rule.to.as_deref(), other) && matches_port(rule.ports.as_deref(), port)
                    })
                }
            })
    }
}

fn selects(selector: &k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector, labels: &Labels) -> bool {
    assert!(selector.match_expressions.is_none(), "the evaluator knows labels only");
    selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value))
}

/// No list, or an empty one, is everyone.
fn matches_peer(peers: Option<&[NetworkPolicyPeer]>, party: &Party) -> bool {
    let peers = peers.unwrap_or_default();
    peers.is_empty()
        || peers.iter().any(|peer| {
            assert!(peer.ip_block.is_none(), "the evaluator knows pods only");
            match (&peer.namespace_selector, &peer.pod_selector, &party.end) {
                (_, _, End::Outside) | (None, _, End::Elsewhere) => false,
                (None, Some(pods), End::Pod(labels)) => selects(pods, labels),
                (Some(namespaces), None, End::Pod(_) | End::Elsewhere) => {
                    assert!(namespaces.match_labels.is_none() && namespaces.match_expressions.is_none());
                    true
                }
                (namespaces, pods, end) => panic!("the evaluator does not know {namespaces:?} {pods:?} {end:?}"),
            }
        })
}

fn matches_port(ports: Option<&[NetworkPolicyPort]>, (protocol, number): Port) -> bool {
    let ports = ports.unwrap_or_default();
    ports.is_empty()
        || ports.iter().any(|port| {
            assert!(port.end_port.is_none(), "the evaluator knows single ports only");
            port.protocol.as_deref() == Some(protocol) && port.port == Some(IntOrString::Int(number))
        })
}

/// What has to get through, said once more in other words: everything else must not.
struct Wanted {
    /// Who calls whom.
    calls: &'static [(&'static str, &'static str, i32)],
    /// What each reaches outside of the shop.
    reaches: &'static [(&'static str, &'static [i32])],
}

const CALLS: &[(&str, &str, i32)] = &[
    ("gateway", "user", 5001),
    ("gateway", "order", 5002),
    ("gateway", "product", 5003),
    ("order", "user", 5001),
    ("order", "product", 5003),
    ("product", "user", 5001),
];

impl Wanted {
    fn wants(&self, from: &Party, to: &Party, (protocol, number): Port) -> bool {
        let is_ours = |party: &Party| party.name != OUTSIDE && !STRANGERS.contains(&party.name.as_str());
        match (is_ours(from), is_ours(to)) {
            (false, false) => true,
            (true, true) => self.calls.contains(&(&from.name, &to.name, number)) && protocol == "TCP",
            // Probes and scrapes come from within the cluster; to the gateway everyone comes.
            (false, true) => {
                let from_cluster = from.name != OUTSIDE;
                protocol == "TCP" && ((number == 9090 && from_cluster) || (to.name == "gateway" && number == 8080))
            }
            (true, false) => {
                let reached =
                    self.reaches.iter().find(|(name, _)| *name == from.name).map_or(&[][..], |(_, ports)| ports);
                number == 53 || (protocol == "TCP" && reached.contains(&number))
            }
        }
    }
}

fn check(shop: &Shop, ports: &[(DatabaseService, i32)], wanted: &Wanted) {
    let blueprint = Blueprint { database_ports: ports.iter().copied().collect(), ..blueprint(shop) };
    let children = build(shop, &blueprint);
    let policies = Policies(&children.network_policies);
    let parties = parties(&children);
    let mut tried = 0;
    for from in &parties {
        for to in &parties {
            for port in PORTS {
                let through = policies.let_through(from, to, port);
                // A pod's connections to itself do not leave it, and two pods of one process have nothing to say.
                assert_eq!(through, wanted.wants(from, to, port), "{} → {} {port:?}", from.name, to.name);
                tried += 1;
            }
        }
    }
    assert_eq!(tried, parties.len() * parties.len() * PORTS.len());
}

#[test]
fn on_files_only_the_calls_get_through() {
    let reaches: &[(&str, &[i32])] =
        &[("user", &[8500]), ("product", &[8500]), ("order", &[8500]), ("gateway", &[8500])];
    check(&fixtures::smallest(), &[], &Wanted { calls: CALLS, reaches });
}

#[test]
fn on_a_server_each_service_and_its_jobs_reach_their_database() {
    let ports = [(DatabaseService::Product, 6432)];
    let reaches: &[(&str, &[i32])] = &[
        ("user", &[8500, 5432]),
        ("product", &[8500, 6432]),
        ("order", &[8500, 5432]),
        ("gateway", &[8500]),
        ("user-migrate", &[5432]),
        ("product-migrate", &[6432]),
        ("order-migrate", &[5432]),
        ("user-contract", &[5432]),
        ("product-contract", &[6432]),
        ("order-contract", &[5432]),
    ];
    check(&fixtures::postgres(), &ports, &Wanted { calls: CALLS, reaches });
}

#[test]
fn traces_and_events_leave_where_they_are_wanted() {
    let mut shop = fixtures::postgres();
    shop.spec.telemetry.otlp_endpoint = Some("http://[fd00::1]:4317/".to_owned());
    shop.spec.events.sink = Some("http://sink.example/a:b?c=1:2".to_owned());
    shop.spec.consul.address = "https://consul.example".to_owned();
    let reaches: &[(&str, &[i32])] = &[
        ("user", &[443, 4317, 5432]),
        ("product", &[443, 4317, 5432]),
        ("order", &[80, 443, 4317, 5432]),
        ("gateway", &[443, 4317]),
        ("user-migrate", &[5432]),
        ("product-migrate", &[5432]),
        ("order-migrate", &[5432]),
        ("user-contract", &[5432]),
        ("product-contract", &[5432]),
        ("order-contract", &[5432]),
    ];
    check(&shop, &[], &Wanted { calls: CALLS, reaches });
}
