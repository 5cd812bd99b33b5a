//! One Consul process.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use crate::{binary, policy};

/// Every process has an address of its own, so that the ports can be the same: below the range that the system hands out,
/// and free again for a restart whatever else runs.
const HTTP_PORT: u16 = 21_500;
const HTTPS_PORT: u16 = 21_501;
const SERVER_PORT: u16 = 21_502;
const SERF_PORT: u16 = 21_503;
/// Longer than a Consul needs to have a leader on a loaded machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often it is asked.
const INTERVAL: Duration = Duration::from_millis(50);
/// What a question may take.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// How a Consul is set up.
#[derive(Debug, Clone, Default)]
pub struct ConsulOptions {
    /// Whether everything is denied that a token does not allow.
    pub acl: bool,
    /// Serve HTTPS as well.
    pub tls: Option<TlsFiles>,
}

/// What Consul serves HTTPS with.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Certificate (PEM) for its address.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// A running Consul server; it ends when this is dropped.
#[derive(Debug)]
pub struct Consul {
    address: Ipv4Addr,
    folder: TempDir,
    process: Option<Child>,
    http: reqwest::Client,
}

impl Consul {
    /// A server alone, once it has made itself the leader.
    pub async fn start() -> Self {
        Self::start_with(ConsulOptions::default()).await
    }

    /// The same, set up otherwise.
    pub async fn start_with(options: ConsulOptions) -> Self {
        Self::start_at(free_address(), options).await
    }

    /// The same at an address that was chosen beforehand: a certificate needs it.
    pub async fn start_at(address: Ipv4Addr, options: ConsulOptions) -> Self {
        let mut consul = Self::prepare(address, &[], &options);
        consul.launch();
        consul.ready().await;
        consul
    }

    /// Several servers that form one cluster, once they have a leader.
    pub async fn cluster(servers: usize) -> Vec<Self> {
        let addresses: Vec<_> = (0..servers).map(|_| free_address()).collect();
        let mut cluster: Vec<_> =
            addresses.iter().map(|own| Self::prepare(*own, &addresses, &ConsulOptions::default())).collect();
        for consul in &mut cluster {
            consul.launch();
        }
        for consul in &cluster {
            consul.ready().await;
        }
        cluster
    }

    fn prepare(address: Ipv4Addr, cluster: &[Ipv4Addr], options: &ConsulOptions) -> Self {
        let folder = TempDir::with_prefix("shop-consul-").unwrap();
        let join: Vec<String> = cluster.iter().map(|other| format!("{other}:{SERF_PORT}")).collect();
        let mut config = json!({
            "server": true,
            "bootstrap_expect": cluster.len().max(1),
            "retry_join": join,
            "retry_interval": "1s",
            "node_name": format!("server-{address}"),
            "data_dir": folder.path().join("data"),
            "bind_addr": address.to_string(),
            "client_addr": address.to_string(),
            "ports": {
                "http": HTTP_PORT, "server": SERVER_PORT, "serf_lan": SERF_PORT,
                "serf_wan": -1, "dns": -1, "grpc": -1, "grpc_tls": -1,
            },
            "connect": {"enabled": false},
            "disable_update_check": true,
            "log_level": "warn",
            "leave_on_terminate": false,
            "skip_leave_on_interrupt": true,
            "performance": {"raft_multiplier": 1},
        });
        if options.acl {
            config["acl"] = policy::enabled();
        }
        if let Some(TlsFiles { cert, key }) = &options.tls {
            config["ports"]["https"] = json!(HTTPS_PORT);
            config["tls"] = json!({"https": {"cert_file": cert, "key_file": key}});
        }
        fs::write(folder.path().join("consul.json"), config.to_string()).unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(ASK_LIMIT).build().unwrap();
        Self { address, folder, process: None, http }
    }

    fn launch(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let process = Command::new(binary())
            .args(["agent", "-config-file"])
            .arg(self.folder.path().join("consul.json"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
    }

    /// Waits until it takes writes: its own node is in the catalogue by then.
    async fn ready(&self) {
        let began = Instant::now();
        while !self.took_itself_in().await {
            if began.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                panic!("Consul has no leader after {PATIENCE:?}: {log}");
            }
            sleep(INTERVAL).await;
        }
    }

    async fn took_itself_in(&self) -> bool {
        let Some(nodes) = self.get("/v1/health/state/any").await else { return false };
        nodes.as_array().is_some_and(|checks| checks.iter().any(|check| check["CheckID"] == "serfHealth"))
    }

    /// Where it answers HTTP.
    pub fn http_address(&self) -> SocketAddr {
        SocketAddr::new(self.address.into(), HTTP_PORT)
    }

    /// Where it answers HTTPS, if it was set up to.
    pub fn https_address(&self) -> SocketAddr {
        SocketAddr::new(self.address.into(), HTTPS_PORT)
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.http_address())
    }

    /// What it answers, asked with all rights; `None` when it does not, or badly.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let request = self.http.get(format!("{}{path}", self.url())).header("X-Consul-Token", policy::MANAGEMENT_TOKEN);
        request.send().await.ok()?.error_for_status().ok()?.json().await.ok()
    }

    /// Tells it something, with all rights.
    pub async fn put(&self, path: &str, body: &Value) -> Value {
        let request = self.http.put(format!("{}{path}", self.url())).header("X-Consul-Token", policy::MANAGEMENT_TOKEN);
        let answer = request.json(body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Kills it. Everything it kept stays for [`restart`](Self::restart).
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // A stopped process dies of it as well.
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it again, at the same address, with all that it kept; returns once it has a leader.
    pub async fn restart(&mut self) {
        assert!(self.process.is_none(), "it runs");
        self.launch();
        self.ready().await;
    }

    /// The same without anything it kept.
    pub async fn restart_empty(&mut self) {
        self.kill();
        fs::remove_dir_all(self.folder.path().join("data")).unwrap();
        self.restart().await;
    }

    /// Freezes it: connections are accepted, and nothing is answered.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Goes on after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("it runs");
        kill_process(Pid::from_child(process), signal).unwrap();
    }

    /// Waits for a condition of what it answers at a path, and fails when it does not come about.
    pub async fn until(&self, path: &str, what: &str, mut condition: impl FnMut(&Value) -> bool) {
        let mut last = None;
        let met = async {
            loop {
                let answer = self.get(path).await;
                if answer.as_ref().is_some_and(&mut condition) {
                    return;
                }
                last = answer;
                sleep(INTERVAL).await;
            }
        };
        let met = timeout(PATIENCE, met).await.is_ok();
        assert!(met, "never: {what}; {path} is {last:?}");
    }
}

impl Drop for Consul {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A loopback address that nobody else uses: from the process's id, and a number in it.
pub fn free_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(number < 255, "a test binary starts no more than 254 Consuls");
    // 127.0.x.y is where other tests listen; ids of processes have 22 bits at most, of which 16 tell enough.
    Ipv4Addr::new(127, 1 + high % 254, low, number)
}
