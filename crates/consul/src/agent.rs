//! Services that an agent keeps: it watches over them, and takes them out when they are not heard of.

use std::{collections::HashMap, time::Duration};

use consulrs::api::{
    check::{common::AgentServiceCheck, requests::TtlCheckUpdateRequest},
    service::requests::{DeregisterServiceRequest, RegisterServiceRequest},
};

use crate::{client::Client, error::Error, status::Status};

/// An instance of a service, as an agent keeps it.
#[derive(Debug, Clone)]
pub struct AgentRegistration {
    /// Unique at the agent.
    pub id: String,
    /// The service's name.
    pub service: String,
    /// Where it serves: a name or an address.
    pub address: String,
    /// Where it serves.
    pub port: u16,
    /// Whatever its owner wants others to know.
    pub meta: HashMap<String, String>,
    /// How it stays alive.
    pub check: TtlCheck,
}

/// A check that its owner reports.
#[derive(Debug, Clone, Copy)]
pub struct TtlCheck {
    /// How long a report counts; then the instance is critical.
    pub ttl: Duration,
    /// How long it may be critical until the agent forgets it; Consul knows nothing below a minute.
    pub deregister_after: Duration,
    /// What it is until the first report.
    pub status: Status,
}

impl Client {
    /// Registers an instance with the agent, or changes it.
    pub async fn register_with_agent(&self, registration: &AgentRegistration) -> Result<(), Error> {
        let AgentRegistration { id, service, address, port, meta, check } = registration.clone();
        let check = AgentServiceCheck {
            check_id: Some(check_id(&id)),
            name: Some("Reported by the process".to_owned()),
            ttl: Some(seconds(check.ttl)),
            deregister_critical_service_after: Some(seconds(check.deregister_after)),
            status: Some(check.status.as_str().to_owned()),
            ..AgentServiceCheck::default()
        };
        self.call(RegisterServiceRequest {
            id: Some(id),
            name: Some(service),
            address: Some(address),
            port: Some(port.into()),
            meta: Some(meta),
            check: Some(check),
            ..RegisterServiceRequest::default()
        })
        .await
    }

    /// Says how a registered instance is. [`Error::NotFound`] when this agent does not have it.
    pub async fn report_to_agent(&self, id: &str, status: Status, note: &str) -> Result<(), Error> {
        self.call(TtlCheckUpdateRequest {
            check: check_id(id),
            status: Some(status.as_str().to_owned()),
            output: Some(note.to_owned()),
            ..TtlCheckUpdateRequest::default()
        })
        .await
    }

    /// Removes an instance. [`Error::NotFound`] when this agent does not have it.
    pub async fn deregister_from_agent(&self, id: &str) -> Result<(), Error> {
        self.call(DeregisterServiceRequest { id: id.to_owned(), ..DeregisterServiceRequest::default() }).await
    }
}

fn check_id(id: &str) -> String {
    format!("service:{id}")
}

fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}
