//! A shop of many processes: several replicas of each service behind gateways, found through a real Consul, on a database
//! server.

mod addresses;
mod backup;
mod clocks;
mod consul_outage;
mod database_outage;
mod load;
mod process;
mod registry;
mod replace;
mod rotation;
mod settings;
mod spine;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use shop_auth::keys::{self, KeyPaths};
use shop_testing::TestDatabase;
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) use process::Process;
pub(crate) use shop_testing_consul::Consul;

use crate::shop::{ADMIN_EMAIL, ADMIN_PASSWORD, Audit, CLIENT_LIMITS, Reached, WEBHOOK_SECRET, shop};
use process::{Environment, run};

const SERVICES: [&str; 4] = ["user", "product", "order", "gateway"];
/// What the audits of fleets go by, too.
pub(crate) const LEASE: &str = "2s";
/// How long Consul may take to show what was started, at 3 s a heartbeat.
const REGISTERED_BOUND: Duration = Duration::from_secs(20);

/// How many of each, and what they are told beyond the usual.
#[derive(Clone)]
pub(crate) struct Layout {
    pub(crate) user: usize,
    pub(crate) product: usize,
    pub(crate) order: usize,
    pub(crate) gateway: usize,
    /// Admin URL of the database server.
    pub(crate) server: String,
    pub(crate) environment: Vec<(&'static str, String)>,
    certificates: Option<PathBuf>,
}

impl Layout {
    /// Three replicas of each behind two gateways.
    pub(crate) fn three(server: String) -> Self {
        Self { user: 3, product: 3, order: 3, gateway: 2, server, environment: Vec::new(), certificates: None }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Certificates of `<service>.crt`, `<service>.key` and `<service>-ca.crt` in a folder.
    pub(crate) fn with_certificates(mut self, folder: &Path) -> Self {
        self.certificates = Some(folder.to_owned());
        self
    }

    fn replicas(&self) -> [(&'static str, usize); 4] {
        [("user", self.user), ("product", self.product), ("order", self.order), ("gateway", self.gateway)]
    }
}

/// The admin URL of a database server that `make test` started; `None`, with a line that says so, where it could not.
pub(crate) fn server(variable: &str) -> Option<String> {
    let url = std::env::var(variable).ok();
    if url.is_none() {
        println!("not run: {variable} is not set; ./test-servers starts the servers it names");
    }
    url
}

/// The running processes and all they stand on. Dropping it kills them.
pub(crate) struct Fleet {
    folder: TempDir,
    databases: Vec<(&'static str, TestDatabase)>,
    environment: Environment,
    certificates: Option<PathBuf>,
    started: AtomicUsize,
    pub(crate) shop_uid: String,
    pub(crate) processes: Vec<Process>,
    gateway: Arc<RwLock<String>>,
}

impl Fleet {
    /// Starts everything and waits until Consul shows all of it.
    pub(crate) async fn start(layout: Layout, consul: &Consul) -> Self {
        Self::start_through(layout, consul, consul.http_address()).await
    }

    /// The same, with another address for Consul than its own.
    pub(crate) async fn start_through(layout: Layout, consul: &Consul, address: SocketAddr) -> Self {
        let mut fleet = Self::prepare(&layout, address).await;
        for (service, replicas) in layout.replicas() {
            for _ in 0..replicas {
                fleet.add(service).await;
            }
        }
        for process in &fleet.processes {
            process.ready().await;
        }
        fleet.is_shown_by(consul, REGISTERED_BOUND).await;
        fleet.look_for_the_gateway();
        fleet
    }

    /// From now on clients go to the first gateway there is.
    pub(crate) fn look_for_the_gateway(&self) {
        let gateway = format!("http://{}", self.of("gateway").next().expect("a gateway").serve);
        gateway.clone_into(&mut self.gateway.write().unwrap());
    }

    /// Keys, databases with their schemas, and the first admin.
    async fn prepare(layout: &Layout, consul: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys_folder = folder.path().join("keys");
        std::fs::create_dir(&keys_folder).unwrap();
        keys::create(&keys_folder, &SERVICES).unwrap();
        let shop_uid = Uuid::new_v4().to_string();
        let mut environment: Environment = [
            ("SHOP_UID", shop_uid.as_str()),
            ("SHOP_ADMIN_LISTEN", "127.0.0.1:0"),
            ("SHOP_LOG_FORMAT", "json"),
            ("SHOP_LOG_LEVEL", "info"),
            ("SHOP_CONSUL_ADDRESS", &format!("http://{consul}")),
            ("SHOP_CONSUL_REGISTRATION", "agent"),
            ("SHOP_CURSOR_SECRET", "the cursors of a fleet are signed with this"),
            ("SHOP_PAYMENT_WEBHOOK_SECRET", WEBHOOK_SECRET),
            ("SHOP_EVENT_SECRET", "events-secret-of-the-tests-0123456789"),
            ("SHOP_ACCESS_TOKEN_TTL", "1h"),
            ("SHOP_LEASE", LEASE),
        ]
        .into_iter()
        .chain(CLIENT_LIMITS)
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        environment.extend(layout.environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let mut databases = Vec::new();
        for service in ["user", "product", "order"] {
            databases.push((service, TestDatabase::on(&layout.server, service).await));
        }
        let fleet = Self {
            folder,
            databases,
            environment,
            certificates: layout.certificates.clone(),
            started: AtomicUsize::new(0),
            shop_uid,
            processes: Vec::new(),
            gateway: Arc::default(),
        };
        for service in ["user", "product", "order"] {
            run(service, &["migrate", "up"], &fleet.environment_of(service)).await;
        }
        let mut admin = fleet.environment_of("user");
        admin.push(("SHOP_ADMIN_EMAIL".to_owned(), ADMIN_EMAIL.to_owned()));
        admin.push(("SHOP_ADMIN_PASSWORD".to_owned(), ADMIN_PASSWORD.to_owned()));
        run("user", &["create-admin"], &admin).await;
        fleet
    }

    fn environment_of(&self, service: &'static str) -> Environment {
        let keys = KeyPaths::new(&self.folder.path().join("keys"));
        let mut environment = self.environment.clone();
        let mut set = |name: &str, value: String| environment.push((name.to_owned(), value));
        set("SHOP_KEY_BUNDLE", keys.bundle().display().to_string());
        set("SHOP_SIGNING_KEYS", keys.signing_keys(service).display().to_string());
        if let Some(folder) = &self.certificates {
            let file = |name: String| folder.join(name).display().to_string();
            set("SHOP_TLS_CERT_FILE", file(format!("{service}.crt")));
            set("SHOP_TLS_KEY_FILE", file(format!("{service}.key")));
            set("SHOP_TLS_CA_FILE", file(format!("{service}-ca.crt")));
        }
        if service != "gateway" {
            set("DATABASE_URL", self.database_url(service));
        }
        environment
    }

    pub(crate) fn database_url(&self, service: &str) -> String {
        let (_, database) =
            self.databases.iter().find(|(name, _)| *name == service).expect("a service with a database");
        database.url()
    }

    /// The folder of keys, certificates and logs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What starts from now on is told this, too.
    pub(crate) fn tell(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Starts one more replica, and gives its place among the processes. It may not be ready yet.
    pub(crate) async fn add(&mut self, service: &'static str) -> usize {
        self.add_at(service, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// The same at a given address.
    pub(crate) async fn add_at(&mut self, service: &'static str, listen: SocketAddr) -> usize {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let mut environment = self.environment_of(service);
        environment.push(("SHOP_LISTEN".to_owned(), listen.to_string()));
        let process = Process::start(service, format!("{service}-{number}"), &environment, self.folder.path()).await;
        self.processes.push(process);
        self.processes.len() - 1
    }

    /// Starts one more replica and waits until it is ready.
    pub(crate) async fn add_ready(&mut self, service: &'static str) {
        let added = self.add(service).await;
        self.processes[added].ready().await;
    }

    pub(crate) fn of(&self, service: &str) -> impl Iterator<Item = &Process> {
        self.processes.iter().filter(move |process| process.service == service)
    }

    /// Asks all of them to leave, callers before those they call.
    pub(crate) async fn all_leave(&mut self) {
        for service in SERVICES.iter().rev() {
            let leaving: Vec<_> = self.instances(service).iter().map(|instance| self.take(instance).leave()).collect();
            join_all(leaving).await;
        }
    }

    /// Takes a process out of the fleet, to be killed or asked to leave.
    pub(crate) fn take(&mut self, instance: &str) -> Process {
        let found = self.processes.iter().position(|process| process.instance == instance);
        self.processes.remove(found.expect("an instance of the fleet"))
    }

    pub(crate) fn instances(&self, service: &str) -> Vec<String> {
        self.of(service).map(|process| process.instance.clone()).collect()
    }

    pub(crate) fn gateways(&self) -> Vec<String> {
        self.of("gateway").map(|gateway| format!("http://{}", gateway.serve)).collect()
    }

    /// Waits until Consul shows these processes, each once, and no others.
    pub(crate) async fn is_shown_by(&self, consul: &Consul, bound: Duration) {
        for service in SERVICES {
            let ports: Vec<u16> = self.of(service).map(|process| process.serve.port()).collect();
            registry::shows(consul, service, &ports, bound).await;
        }
    }

    /// Audits until nothing is in flight any more and requires that nothing is wrong.
    pub(crate) async fn settled_clean(&self, bound: Duration) {
        let begun = Instant::now();
        loop {
            let audit = self.audit().await;
            assert!(audit.success, "the audit found violations:\n{}", audit.report);
            if audit.in_flight == 0 {
                return;
            }
            assert!(begun.elapsed() < bound, "still in flight after {bound:?}:\n{}", audit.report);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn audit(&self) -> Audit {
        let mut command = shop();
        command
            .args(["audit", "--output", "json"])
            .env("SHOP_PRODUCT_DATABASE_URL", self.database_url("product"))
            .env("SHOP_ORDER_DATABASE_URL", self.database_url("order"))
            .env("SHOP_LEASE", LEASE);
        if let Some((name, sink)) = self.environment.iter().find(|(name, _)| name == "SHOP_EVENT_SINK") {
            command.env(name, sink);
        }
        Audit::of(command).await
    }
}

impl Reached for Fleet {
    fn gateway(&self) -> Arc<RwLock<String>> {
        Arc::clone(&self.gateway)
    }

    fn keys(&self) -> KeyPaths {
        KeyPaths::new(&self.folder.path().join("keys"))
    }

    fn shop_uid(&self) -> &str {
        &self.shop_uid
    }

    async fn is_settled_clean(&self, bound: Duration) {
        self.settled_clean(bound).await;
    }
}
