//! This process's own entry in Consul: written, kept, and taken out when it leaves.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use backon::BackoffBuilder as _;
use parking_lot::Mutex;
use serde_json::{Value, json};
use shop_consul::{
    AgentRegistration, CatalogRegistration, ConsulAddress, Error, Instances, ServiceInstance, Status, TtlCheck,
};
use shop_server::Readiness;
use tokio::{
    net::{UdpSocket, lookup_host},
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    link::{Link, News, RETRY},
    names::{self, Names},
    options::{Advertised, DiscoveryOptions, Registration},
};

/// How long an agent believes in an instance that it hears nothing of, and how often it hears of one that lives: two
/// reports may be lost.
const TTL: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_secs(3);
/// How long an agent keeps an instance that is not well, for those who look into it. One that lives comes back by itself.
const FORGET_AFTER: Duration = Duration::from_mins(2);
/// What leaving may take: whoever asked the process to leave waits, and the entry is critical already.
const DEREGISTER_LIMIT: Duration = Duration::from_secs(1);
/// How long the way to Consul is looked for before it is tried again.
const LOOKUP_LIMIT: Duration = Duration::from_secs(2);

/// What is asked of Consul on the entry's behalf.
const KEEPING: &str = "registration";
const WATCHING: &str = "registration's presence";

/// Names and addresses of the entry.
#[derive(Debug, Clone)]
struct Entry {
    id: String,
    service: String,
    host: String,
    port: u16,
    meta: HashMap<String, String>,
    incarnation: String,
}

/// Keeps the entry of a process.
pub(crate) struct Registrar {
    link: Arc<Link>,
    names: Names,
    mode: Registration,
    service: &'static str,
    serve: SocketAddr,
    advertised: Option<Advertised>,
    instance_id: Option<String>,
    readiness: Readiness,
    written: Mutex<Option<(Entry, Status)>>,
    /// The entry is not there, or not as it should be.
    astray: Notify,
}

impl Registrar {
    pub(crate) fn new(
        service: &'static str,
        serve: SocketAddr,
        readiness: &Readiness,
        options: &DiscoveryOptions,
        names: Names,
        link: Arc<Link>,
    ) -> Self {
        Self {
            link,
            names,
            mode: options.consul_registration,
            service,
            serve,
            advertised: options.advertise.clone(),
            instance_id: options.instance_id.clone(),
            readiness: readiness.clone(),
            written: Mutex::default(),
            astray: Notify::new(),
        }
    }

    /// Registers the process and keeps it so until the last request is answered; then takes it out.
    pub(crate) async fn keep(self: Arc<Self>, drained: CancellationToken) {
        let keeping = async {
            let entry = self.entry().await;
            tokio::join!(self.report(&entry), self.watch(&entry));
        };
        drained.run_until_cancelled(Box::pin(keeping)).await;
        let written = self.written.lock().take();
        if let Some((entry, _)) = written {
            self.deregister(&entry).await;
        }
    }

    async fn entry(&self) -> Entry {
        let host = match &self.advertised {
            Some(advertised) => advertised.host.clone(),
            None => self.own_address().await.to_string(),
        };
        let port = self.advertised.as_ref().and_then(|advertised| advertised.port).unwrap_or(self.serve.port());
        // An address of version 6 in an id would be one of its own making in a URL.
        let id = || format!("{}-{}-{port}", self.service, host.replace(':', "_"));
        let (meta, incarnation) = self.names.instance_meta();
        Entry {
            id: self.instance_id.clone().unwrap_or_else(id),
            service: self.names.service(self.service),
            host,
            port,
            meta,
            incarnation,
        }
    }

    /// Where this process is reached: where it serves, or if that is everywhere, the address on the way to Consul.
    async fn own_address(&self) -> IpAddr {
        if !self.serve.ip().is_unspecified() {
            return self.serve.ip();
        }
        let mut backoff = RETRY.build();
        loop {
            match timeout(LOOKUP_LIMIT, way_to(self.link.client.address())).await {
                Ok(Ok(address)) => return address,
                Ok(Err(error)) => tracing::debug!(error = %error, "There is no way to Consul yet."),
                Err(_elapsed) => tracing::debug!("The way to Consul was not found in time."),
            }
            sleep(backoff.next().unwrap_or(HEARTBEAT)).await;
        }
    }

    /// Tells Consul of every change, and an agent that the process lives.
    async fn report(&self, entry: &Entry) {
        let mut backoff = RETRY.build();
        loop {
            let ready = self.readiness.is_ready();
            let next = match Box::pin(self.write(entry, status(ready))).await {
                Ok(()) => {
                    self.link.answered(KEEPING, None);
                    backoff = RETRY.build();
                    (self.mode == Registration::Agent).then_some(HEARTBEAT)
                }
                Err(error) => {
                    self.link.failed(KEEPING, &error);
                    Some(backoff.next().unwrap_or(HEARTBEAT))
                }
            };
            tokio::select! {
                () = after(next) => {}
                _ = self.readiness.changed_from(ready) => {}
                () = self.astray.notified() => *self.written.lock() = None,
            }
        }
    }

    async fn write(&self, entry: &Entry, status: Status) -> Result<(), Error> {
        let registered = self.written.lock().is_some();
        match self.mode {
            Registration::Agent if registered => {
                match self.link.client.report_to_agent(&entry.id, status, note(status)).await {
                    Err(Error::NotFound { .. }) => self.register_with_agent(entry, status).await?,
                    reported => reported?,
                }
            }
            Registration::Agent => self.register_with_agent(entry, status).await?,
            Registration::Catalog => self.register_in_catalog(entry, status).await?,
        }
        let before = self.written.lock().replace((entry.clone(), status));
        if before.is_none_or(|(_, before)| before != status) {
            tracing::info!(
                instance.id = entry.id,
                instance.address = format!("{}:{}", entry.host, entry.port),
                instance.status = note(status),
                "Consul has this process's entry."
            );
        }
        Ok(())
    }

    async fn register_with_agent(&self, entry: &Entry, status: Status) -> Result<(), Error> {
        let registration = AgentRegistration {
            id: entry.id.clone(),
            service: entry.service.clone(),
            address: entry.host.clone(),
            port: entry.port,
            meta: entry.meta.clone(),
            check: TtlCheck { ttl: TTL, deregister_after: FORGET_AFTER, status },
        };
        self.link.client.register_with_agent(&registration).await
    }

    async fn register_in_catalog(&self, entry: &Entry, status: Status) -> Result<(), Error> {
        let registration = CatalogRegistration {
            node: self.names.node(),
            node_meta: self.names.node_meta(),
            id: entry.id.clone(),
            service: entry.service.clone(),
            address: entry.host.clone(),
            port: entry.port,
            meta: entry.meta.clone(),
            status,
            note: note(status).to_owned(),
        };
        self.link.client.register_in_catalog(&registration).await
    }

    /// Looks whether the entry is there: Consul may lose its data, and people may delete a node.
    async fn watch(&self, entry: &Entry) {
        let filter = Some(self.names.filter_for(&entry.id));
        let which = Instances { service: entry.service.clone(), filter, passing: false };
        let ask = |wait| self.link.client.instances(&which, Some(wait));
        let tell = |News { value, .. }: News<Vec<ServiceInstance>>| {
            // Nobody looks for a process that is not ready: whoever took its entry out, as for a pod that is gone while its
            // process still ends, need not do it again. It comes back when it is ready.
            let taken_out = value.is_empty() && !self.readiness.is_ready();
            if !taken_out && !value.iter().any(|found| self.is_right(entry, found)) {
                self.astray.notify_one();
            }
        };
        self.link.follow(WATCHING, ask, tell).await;
    }

    fn is_right(&self, entry: &Entry, found: &ServiceInstance) -> bool {
        let same = found.address == entry.host
            && found.port == entry.port
            && names::incarnation(found) == Some(entry.incarnation.as_str());
        // What an agent says of it is older than what it was told; the next report will have its way.
        let well = self.mode == Registration::Agent || found.status == status(self.readiness.is_ready());
        same && well
    }

    async fn deregister(&self, entry: &Entry) {
        let removing = async {
            match self.mode {
                Registration::Agent => self.link.client.deregister_from_agent(&entry.id).await,
                Registration::Catalog => self.link.client.deregister_from_catalog(&self.names.node(), &entry.id).await,
            }
        };
        match timeout(DEREGISTER_LIMIT, removing).await {
            Ok(Ok(()) | Err(Error::NotFound { .. })) => {
                tracing::info!(instance.id = entry.id, "This process's entry is gone from Consul.");
            }
            Ok(Err(error)) => tracing::warn!(
                instance.id = entry.id,
                error = &error as &dyn std::error::Error,
                "This process's entry stays in Consul, as critical."
            ),
            Err(_elapsed) => tracing::warn!(
                instance.id = entry.id,
                "This process's entry may stay in Consul, as critical: Consul did not answer in time."
            ),
        }
    }

    /// What operators see of the entry.
    pub(crate) fn report_json(&self) -> Value {
        let written = self.written.lock();
        let (entry, status) =
            written.as_ref().map_or((None, None), |(entry, status)| (Some(entry), Some(note(*status))));
        json!({
            "mode": match self.mode { Registration::Agent => "agent", Registration::Catalog => "catalog" },
            "id": entry.map(|entry| &entry.id),
            "address": entry.map(|entry| format!("{}:{}", entry.host, entry.port)),
            "status": status,
        })
    }
}

const fn status(ready: bool) -> Status {
    if ready { Status::Passing } else { Status::Critical }
}

const fn note(status: Status) -> &'static str {
    match status {
        Status::Passing => "ready",
        Status::Warning | Status::Critical | Status::Maintenance => "not ready",
    }
}

async fn after(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}

/// The address of this machine that packets to Consul have. Nothing is sent: the system only looks up the way.
async fn way_to(consul: &ConsulAddress) -> std::io::Result<IpAddr> {
    let target = lookup_host(consul.host_and_port()).await?.next();
    let target = target.ok_or_else(|| std::io::Error::other("Consul's name has no address"))?;
    let any: IpAddr = if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(target).await?;
    Ok(socket.local_addr()?.ip())
}
