//! Names under which the processes are reached: the gateway by clients, the others by each other until Consul has named
//! their pods.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::names;
use crate::shop::{Component, Shop};

/// Where clients find the gateway.
const GATEWAY_PORT: i32 = 80;

pub(super) fn build(shop: &Shop) -> Vec<Service> {
    Component::ROLL_ORDER.into_iter().map(|component| service(shop, component)).collect()
}

fn service(shop: &Shop, component: Component) -> Service {
    let gateway = component == Component::Gateway;
    let port = ServicePort {
        name: Some(names::port(component).to_owned()),
        port: if gateway { GATEWAY_PORT } else { component.port() },
        target_port: Some(IntOrString::String(names::port(component).to_owned())),
        protocol: Some("TCP".to_owned()),
        // For meshes and proxies, which would take gRPC for bytes.
        app_protocol: (!gateway).then(|| "kubernetes.io/h2c".to_owned()),
        ..ServicePort::default()
    };
    Service {
        metadata: names::metadata(shop, names::process(shop, component), names::process_labels(shop, component)),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            // Headless: callers choose among the pods themselves, and one address would pin a connection to one pod.
            cluster_ip: (!gateway).then(|| "None".to_owned()),
            selector: Some(names::process_selector(shop, component)),
            ports: Some(vec![port]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
