//! Real Consul servers, and a way to reach them that misbehaves when told to.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Stdio,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::watch,
};

/// How long servers may take to agree on a leader.
const START_BOUND: Duration = Duration::from_secs(40);

/// A Consul server.
pub(crate) struct Consul {
    folder: TempDir,
    ports: Ports,
    /// The serf addresses of the others, and how many servers there are in all.
    peers: (Vec<u16>, usize),
    child: Child,
}

#[derive(Clone)]
struct Ports {
    http: u16,
    server: u16,
    serf: u16,
}

impl Consul {
    /// One server with nothing in it.
    pub(crate) async fn start() -> Self {
        let consul = Self::launch(Ports::free(1).remove(0), (Vec::new(), 1));
        consul.elected().await;
        consul
    }

    /// Three that are one.
    pub(crate) async fn three() -> [Self; 3] {
        let ports = Ports::free(3);
        let serf: Vec<u16> = ports.iter().map(|ports| ports.serf).collect();
        let servers = [0, 1, 2].map(|n| Self::launch(ports[n].clone(), (serf.clone(), 3)));
        for server in &servers {
            server.elected().await;
        }
        servers
    }

    fn launch(ports: Ports, peers: (Vec<u16>, usize)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = spawn(&folder, &ports, &peers);
        Self { folder, ports, peers, child }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.http).into()
    }

    /// SIGKILL.
    pub(crate) async fn stop(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Starts again at the same address, with nothing left of what it knew.
    pub(crate) async fn start_empty(&mut self) {
        self.folder = tempfile::tempdir().unwrap();
        self.child = spawn(&self.folder, &self.ports, &self.peers);
        self.elected().await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().expect("still running")).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    async fn elected(&self) {
        let begun = Instant::now();
        loop {
            let leader = self.get("/v1/status/leader").await;
            if leader.is_some_and(|leader| leader.as_str().is_some_and(|leader| !leader.is_empty())) {
                return;
            }
            assert!(begun.elapsed() < START_BOUND, "Consul has no leader: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let url = format!("http://{}{path}", self.address());
        let answer = reqwest::Client::new().get(url).timeout(Duration::from_secs(2)).send().await.ok()?;
        answer.json().await.ok()
    }

    /// The ports of the passing instances of a service, one entry for each registration.
    pub(crate) async fn passing(&self, service: &str) -> Vec<u16> {
        let found = self.get(&format!("/v1/health/service/{service}?passing")).await.unwrap_or_default();
        let entries = found.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| u16::try_from(entry["Service"]["Port"].as_u64().unwrap()).unwrap()).collect()
    }

    /// Waits until exactly these instances of a service pass, each registered once.
    pub(crate) async fn shows(&self, service: &str, ports: &[u16], bound: Duration) {
        let wanted: HashSet<u16> = ports.iter().copied().collect();
        let begun = Instant::now();
        loop {
            let found = self.passing(service).await;
            if found.len() == wanted.len() && found.iter().copied().collect::<HashSet<_>>() == wanted {
                return;
            }
            assert!(begun.elapsed() < bound, "Consul shows {service} at {found:?} instead of {wanted:?} after {bound:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn put(&self, key: &str, value: &str) {
        let url = format!("http://{}/v1/kv/{key}", self.address());
        let answer = reqwest::Client::new().put(url).body(value.to_owned()).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }
}

fn spawn(folder: &TempDir, ports: &Ports, (peers, servers): &(Vec<u16>, usize)) -> Child {
    let mut command = Command::new(binary());
    let log = std::fs::File::options().create(true).append(true).open(folder.path().join("log")).unwrap();
    command
        .args(["agent", "-server", "-bind=127.0.0.1", "-client=127.0.0.1", "-dns-port=-1", "-grpc-port=-1"])
        .args(["-grpc-tls-port=-1", "-serf-wan-port=-1", "-disable-host-node-id", "-log-level=warn"])
        .arg(format!("-node=consul-{}", ports.http))
        .arg(format!("-bootstrap-expect={servers}"))
        .arg(format!("-http-port={}", ports.http))
        .arg(format!("-server-port={}", ports.server))
        .arg(format!("-serf-lan-port={}", ports.serf))
        .arg(format!("-data-dir={}", folder.path().join("data").display()))
        .arg("-hcl=performance { raft_multiplier = 1 }")
        .args(peers.iter().filter(|serf| **serf != ports.serf).map(|serf| format!("-retry-join=127.0.0.1:{serf}")))
        .arg("-retry-interval=1s")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true);
    command.spawn().unwrap()
}

/// The one named by `SHOP_TEST_CONSUL`, or that of `make consul`.
fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("SHOP_TEST_CONSUL") {
        return named.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache"),
        PathBuf::from,
    );
    let binary = cache.join("shop/consul-1.20.1/bin/consul");
    assert!(binary.exists(), "{} is missing: run make consul", binary.display());
    binary
}

impl Ports {
    /// Ports that were free a moment ago, all different.
    fn free(sets: usize) -> Vec<Self> {
        let bound: Vec<_> = (0..sets * 3).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> = bound.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        ports.chunks(3).map(|ports| Self { http: ports[0], server: ports[1], serf: ports[2] }).collect()
    }
}

/// What becomes of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Accepted, read, never answered.
    Hangs,
    /// Every answer comes this much later.
    Slow(Duration),
    /// An answer of 500 to everything.
    Errors,
    /// Bytes that are no HTTP.
    Garbage,
    /// Closed at once.
    Refuses,
}

/// One address in front of servers, which are taken in turn: what a load balancer or a Service of Kubernetes is. A change of
/// fault cuts every open connection.
pub(crate) struct Front {
    address: SocketAddr,
    servers: Arc<RwLock<Vec<SocketAddr>>>,
    fault: Arc<watch::Sender<Fault>>,
}

impl Front {
    pub(crate) async fn before(servers: &[SocketAddr]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fault = Arc::new(watch::Sender::new(Fault::None));
        let servers = Arc::new(RwLock::new(servers.to_vec()));
        tokio::spawn({
            let (fault, servers) = (Arc::clone(&fault), Arc::clone(&servers));
            async move {
                for turn in 0.. {
                    let Ok((client, _)) = listener.accept().await else { return };
                    let mut changed = fault.subscribe();
                    let now = *changed.borrow_and_update();
                    // A server that refuses is passed over, as a load balancer would.
                    let mut in_turn = servers.read().unwrap().clone();
                    let first = turn % in_turn.len().max(1);
                    in_turn.rotate_left(first);
                    tokio::spawn(async move {
                        tokio::select! {
                            () = carry(client, &in_turn, now) => {}
                            _ = changed.changed() => {}
                        }
                    });
                }
            }
        });
        Self { address, servers, fault }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends new connections elsewhere.
    pub(crate) fn lead_to(&self, servers: impl IntoIterator<Item = SocketAddr>) {
        *self.servers.write().unwrap() = servers.into_iter().collect();
    }

    pub(crate) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

async fn carry(mut client: TcpStream, servers: &[SocketAddr], fault: Fault) {
    match fault {
        Fault::Refuses => {}
        Fault::Hangs => while client.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {},
        Fault::Errors => answer(client, b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops").await,
        Fault::Garbage => answer(client, b"\x16\x03\x01 this is no HTTP \xff\xfe\r\n\r\n").await,
        Fault::None | Fault::Slow(_) => {
            for server in servers {
                let Ok(upstream) = TcpStream::connect(server).await else { continue };
                let delay = if let Fault::Slow(delay) = fault { delay } else { Duration::ZERO };
                return relay(client, upstream, delay).await;
            }
        }
    }
}

/// Answers every request on the connection alike; what is asked does not matter.
async fn answer(mut client: TcpStream, bytes: &[u8]) {
    while client.read(&mut [0; 8192]).await.is_ok_and(|read| read > 0) {
        if client.write_all(bytes).await.is_err() {
            return;
        }
    }
}

async fn relay(mut client: TcpStream, mut upstream: TcpStream, delay: Duration) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_upstream, mut to_upstream) = upstream.split();
    let there = async {
        let _cut = tokio::io::copy(&mut from_client, &mut to_upstream).await;
    };
    let back = async {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read @ 1..) = from_upstream.read(&mut buffer).await {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            if to_client.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}
