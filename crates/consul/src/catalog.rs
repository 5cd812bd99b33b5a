//! Services in the catalogue itself: Consul keeps what it is told, on any of its servers, and watches over nothing.

use std::collections::HashMap;

use consulrs::api::{
    catalog::requests::{DeregisterEntityRequest, RegisterEntityRequest},
    check::common::AgentCheck,
    service::common::AgentService,
};

use crate::{client::Client, error::Error, status::Status};

/// What a node without a machine has for an address: every instance has one of its own.
const NO_ADDRESS: &str = "0.0.0.0";

/// An instance of a service, in the catalogue.
#[derive(Debug, Clone)]
pub struct CatalogRegistration {
    /// The node it is under. It is made if there is none, and no agent must have it.
    pub node: String,
    /// Whatever the node's owner wants others to know.
    pub node_meta: HashMap<String, String>,
    /// Unique on the node.
    pub id: String,
    /// The service's name.
    pub service: String,
    /// Where it serves: a name or an address.
    pub address: String,
    /// Where it serves.
    pub port: u16,
    /// Whatever the instance's owner wants others to know.
    pub meta: HashMap<String, String>,
    /// How it is.
    pub status: Status,
    /// Why it is so.
    pub note: String,
}

impl Client {
    /// Puts an instance into the catalogue, or changes it.
    pub async fn register_in_catalog(&self, registration: &CatalogRegistration) -> Result<(), Error> {
        let CatalogRegistration { node, node_meta, id, service, address, port, meta, status, note } =
            registration.clone();
        let check = AgentCheck {
            node: Some(node.clone()),
            check_id: Some(format!("service:{id}")),
            name: Some("Reported by the process".to_owned()),
            service_id: Some(id.clone()),
            status: Some(status.as_str().to_owned()),
            output: Some(note),
            ..AgentCheck::default()
        };
        let service = AgentService {
            id: Some(id),
            service: Some(service),
            address: Some(address),
            port: Some(port.into()),
            meta: Some(meta),
            ..AgentService::default()
        };
        self.call(RegisterEntityRequest {
            node,
            address: NO_ADDRESS.to_owned(),
            node_meta: Some(node_meta),
            service: Some(service),
            check: Some(check),
            // Others are under it as well; an update of it would wake whoever watches any of them.
            skip_node_update: Some(true),
            ..RegisterEntityRequest::default()
        })
        .await
    }

    /// Removes an instance from the catalogue, with its checks. One that is not there is as good as removed.
    pub async fn deregister_from_catalog(&self, node: &str, id: &str) -> Result<(), Error> {
        self.call(DeregisterEntityRequest {
            node: node.to_owned(),
            service_id: Some(id.to_owned()),
            ..DeregisterEntityRequest::default()
        })
        .await
    }

    /// Removes a node from the catalogue, with all that is under it.
    pub async fn deregister_node(&self, node: &str) -> Result<(), Error> {
        self.call(DeregisterEntityRequest { node: node.to_owned(), ..DeregisterEntityRequest::default() }).await
    }
}
