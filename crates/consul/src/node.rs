//! A node of the catalogue and what is under it, for whoever clears up.

use std::collections::HashMap;

use rustify::{
    endpoint::Endpoint,
    enums::{RequestMethod, RequestType, ResponseType},
    errors::ClientError,
};
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    client::{Client, describe},
    error::Error,
    status::Status,
};

/// A node as Consul has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeEntry {
    /// What its owner tells.
    pub meta: HashMap<String, String>,
    /// What is under it.
    pub services: Vec<NodeService>,
}

/// An instance under a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeService {
    /// Unique on the node.
    pub id: String,
    /// The service's name.
    pub service: String,
    /// The worst of its checks.
    pub status: Status,
}

impl Client {
    /// A node of the catalogue, with its services and their checks; `None` if there is none of that name.
    pub async fn node(&self, node: &str) -> Result<Option<NodeEntry>, Error> {
        let endpoint = NodeServices { node: node.to_owned() };
        let request = describe(&endpoint);
        let answer = Box::pin(self.query(endpoint, None, None)).await?;
        let Some(Catalog { node: Some(found), services }) = self.value::<Option<Catalog>>(&request, &answer)?.value
        else {
            return Ok(None);
        };
        let checks = self.checks(node).await?;
        let services = services.unwrap_or_default().into_iter().map(|Service { id, service }| NodeService {
            status: Status::worst(checks.iter().filter(|check| check.service_id == id).map(|check| check.status)),
            id,
            service,
        });
        Ok(Some(NodeEntry { meta: found.meta.unwrap_or_default(), services: services.collect() }))
    }

    async fn checks(&self, node: &str) -> Result<Vec<Check>, Error> {
        let endpoint = NodeChecks { node: node.to_owned() };
        let request = describe(&endpoint);
        let answer = Box::pin(self.query(endpoint, None, None)).await?;
        Ok(self.value(&request, &answer)?.value)
    }
}

/// `GET /v1/catalog/node-services/<node>`, which consulrs does not have.
struct NodeServices {
    node: String,
}

impl Endpoint for NodeServices {
    type Response = IgnoredAny;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        format!("catalog/node-services/{}", self.node)
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::GET
    }

    fn query(&self) -> Result<Option<String>, ClientError> {
        Ok(None)
    }
}

/// `GET /v1/health/node/<node>`, which consulrs does not have.
struct NodeChecks {
    node: String,
}

impl Endpoint for NodeChecks {
    type Response = IgnoredAny;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        format!("health/node/{}", self.node)
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::GET
    }

    fn query(&self) -> Result<Option<String>, ClientError> {
        Ok(None)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Catalog {
    node: Option<Node>,
    services: Option<Vec<Service>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    meta: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(rename = "ID")]
    id: String,
    service: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    #[serde(rename = "ServiceID")]
    service_id: String,
    status: Status,
}
