//! The instances of a service and how they are: `GET /v1/health/service/<name>`, which consulrs does not have.

use std::collections::HashMap;

use rustify::{
    endpoint::Endpoint,
    enums::{RequestMethod, RequestType, ResponseType},
    errors::ClientError,
};
use serde::Deserialize;

use crate::{
    client::{Client, Indexed, Wait, describe},
    error::Error,
    status::Status,
};

/// Which instances.
#[derive(Debug, Clone)]
pub struct Instances {
    /// The service's name.
    pub service: String,
    /// In Consul's language for filters.
    pub filter: Option<String>,
    /// Only those of which every check passes.
    pub passing: bool,
}

/// An instance as Consul has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceInstance {
    /// The node it is under.
    pub node: String,
    /// Unique on the node.
    pub id: String,
    /// Where it serves.
    pub address: String,
    /// Where it serves.
    pub port: u16,
    /// What its owner tells.
    pub meta: HashMap<String, String>,
    /// The worst of its checks.
    pub status: Status,
}

impl Client {
    /// The instances of a service, at once or when they change.
    pub async fn instances(
        &self,
        which: &Instances,
        wait: Option<Wait>,
    ) -> Result<Indexed<Vec<ServiceInstance>>, Error> {
        let endpoint = HealthService { service: which.service.clone(), passing: which.passing };
        let request = describe(&endpoint);
        let answer = self.query(endpoint, which.filter.clone(), wait).await?;
        let Indexed { index, value } = self.value::<Vec<Entry>>(&request, &answer)?;
        Ok(Indexed { index, value: value.into_iter().map(ServiceInstance::from).collect() })
    }
}

struct HealthService {
    service: String,
    passing: bool,
}

impl Endpoint for HealthService {
    type Response = Vec<Entry>;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        format!("health/service/{}", self.service)
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::GET
    }

    fn query(&self) -> Result<Option<String>, ClientError> {
        Ok(self.passing.then(|| "passing".to_owned()))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    node: Node,
    service: Service,
    checks: Vec<Check>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    node: String,
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(rename = "ID")]
    id: String,
    address: String,
    port: u16,
    meta: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    status: Status,
}

impl From<Entry> for ServiceInstance {
    fn from(Entry { node, service, checks }: Entry) -> Self {
        Self {
            id: service.id,
            // A service without an address is at its node's.
            address: if service.address.is_empty() { node.address } else { service.address },
            node: node.node,
            port: service.port,
            meta: service.meta.unwrap_or_default(),
            status: Status::worst(checks.into_iter().map(|check| check.status)),
        }
    }
}
