//! A `shop up` process with a data folder of its own: started, killed, started again, audited.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use serde::Deserialize;
use shop_auth::keys::KeyPaths;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, Command},
};

/// How long a start may take before the test gives up. A debug build on two busy cores needs a second or two.
const START_BOUND: Duration = Duration::from_mins(1);
/// How long a process may take to leave.
const EXIT_BOUND: Duration = Duration::from_secs(40);
pub(crate) const ADMIN_EMAIL: &str = "admin@shop.test";
pub(crate) const ADMIN_PASSWORD: &str = "sixteen grey herons at dusk";
pub(crate) const WEBHOOK_SECRET: &str = "webhook-secret-of-the-tests-0123456789";
/// All of a test's clients share one address; the gateway's own tests hold it to its real limits.
pub(crate) const CLIENT_LIMITS: [(&str, &str); 6] = [
    ("SHOP_RATE_LIMIT", "10000"),
    ("SHOP_RATE_BURST", "10000"),
    ("SHOP_SIGN_IN_RATE_LIMIT", "10000"),
    ("SHOP_SIGN_IN_RATE_BURST", "10000"),
    ("SHOP_MAX_IN_FLIGHT_PER_CLIENT", "10000"),
    ("SHOP_MAX_CONNECTIONS_PER_ADDRESS", "10000"),
];

/// The line `--output json` prints once ready.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Ready {
    pub(crate) gateway: String,
    pub(crate) grpc: GrpcServices,
    pub(crate) admin_email: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct GrpcServices {
    pub(crate) user: String,
    pub(crate) product: String,
    pub(crate) order: String,
}

/// A shop that clients reach, whatever it is made of.
pub(crate) trait Reached {
    /// The gateway's address, followed through restarts.
    fn gateway(&self) -> Arc<RwLock<String>>;
    /// The keys its tokens are signed with.
    fn keys(&self) -> KeyPaths;
    fn shop_uid(&self) -> &str;
    /// Audits until nothing is in flight any more and requires that nothing is wrong.
    fn is_settled_clean(&self, bound: Duration) -> impl Future<Output = ()>;
}

impl Reached for Shop {
    fn gateway(&self) -> Arc<RwLock<String>> {
        Arc::clone(&self.gateway)
    }

    fn keys(&self) -> KeyPaths {
        KeyPaths::new(&self.data_dir().join("keys"))
    }

    fn shop_uid(&self) -> &'static str {
        "local"
    }

    async fn is_settled_clean(&self, bound: Duration) {
        self.settled_clean(bound).await;
    }
}

/// A running shop. Dropping it kills the process; the folder goes with it.
pub(crate) struct Shop {
    folder: Arc<TempDir>,
    environment: Vec<(String, String)>,
    child: Child,
    pub(crate) ready: Ready,
    /// Where the gateway is now; a restart changes it.
    gateway: Arc<RwLock<String>>,
}

impl Shop {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts with the demo catalogue.
    pub(crate) async fn start_with_demo() -> Self {
        Self::start_with(&[("SHOP_NO_DEMO", "false")]).await
    }

    /// Starts with environment variables beyond the usual.
    pub(crate) async fn start_with(environment: &[(&str, &str)]) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let environment: Vec<_> = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let (child, ready) = launch(folder.path(), &environment).await;
        let gateway = Arc::new(RwLock::new(ready.gateway.clone()));
        Self { folder, environment, child, ready, gateway }
    }

    pub(crate) fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// Memory that the process holds, in KiB. What [`Shop::peak_kib`] says counts from here.
    pub(crate) fn memory_kib(&self) -> u64 {
        let pid = self.child.id().expect("still running");
        // Forgets the peak so far, proc_pid_clear_refs(5).
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
        memory_kib(pid, "VmRSS:")
    }

    /// The most memory that it held since.
    pub(crate) fn peak_kib(&self) -> u64 {
        memory_kib(self.child.id().expect("still running"), "VmHWM:")
    }

    /// The gateway's address, followed through restarts.
    pub(crate) fn gateway(&self) -> Arc<RwLock<String>> {
        Arc::clone(&self.gateway)
    }

    /// SIGKILL: nothing gets to run any more.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Starts again on the same data.
    pub(crate) async fn restart(&mut self) {
        let (child, ready) = launch(self.folder.path(), &self.environment).await;
        self.child = child;
        self.gateway.write().unwrap().clone_from(&ready.gateway);
        self.ready = ready;
    }

    /// Starts again with other variables, and tells whether the process died of SIGKILL, ready or not.
    pub(crate) async fn starts_only_to_be_killed(&mut self, environment: &[(&str, &str)]) -> bool {
        let environment: Vec<_> = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        self.child = spawn(self.folder.path(), &environment);
        self.killed_within(START_BOUND).await
    }

    /// Starts again with other variables instead of those given at the first start.
    pub(crate) async fn restart_with(&mut self, environment: &[(&str, &str)]) {
        self.environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        self.restart().await;
    }

    /// Waits for the process to end by itself.
    pub(crate) async fn exited(&mut self) -> ExitStatus {
        tokio::time::timeout(EXIT_BOUND, self.child.wait()).await.expect("the process should have ended").unwrap()
    }

    /// Whether the process died of SIGKILL within the bound.
    pub(crate) async fn killed_within(&mut self, bound: Duration) -> bool {
        use std::os::unix::process::ExitStatusExt as _;
        let exited = tokio::time::timeout(bound, self.child.wait()).await;
        exited.is_ok_and(|status| status.unwrap().signal() == Some(rustix::process::Signal::KILL.as_raw()))
    }

    /// SIGTERM or SIGINT, and the exit status.
    pub(crate) async fn signal(&mut self, signal: rustix::process::Signal) -> ExitStatus {
        let pid = i32::try_from(self.child.id().expect("still running")).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
        self.exited().await
    }

    /// `shop audit`, beside the running process or after it.
    pub(crate) async fn audit(&self) -> Audit {
        audit(self.folder.path(), &self.environment).await
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
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// What `shop audit --output json` said.
pub(crate) struct Audit {
    pub(crate) success: bool,
    pub(crate) in_flight: u64,
    pub(crate) report: String,
}

impl Audit {
    pub(crate) async fn of(mut command: Command) -> Self {
        let output = command.output().await.unwrap();
        let report = String::from_utf8(output.stdout).unwrap();
        let parsed: serde_json::Value = serde_json::from_str(&report).unwrap_or_else(|error| {
            panic!("audit printed no JSON ({error}): {report}\n{}", String::from_utf8_lossy(&output.stderr))
        });
        Self {
            success: output.status.success(),
            in_flight: parsed["in_flight"].as_u64().expect("in_flight is a number"),
            report: serde_json::to_string_pretty(&parsed).unwrap(),
        }
    }
}

pub(crate) async fn audit(data_dir: &Path, environment: &[(String, String)]) -> Audit {
    let mut command = shop();
    command.args(["audit", "--output", "json", "--data-dir"]).arg(data_dir);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    Audit::of(command).await
}

/// The binary under test, with nothing of this process's configuration.
pub(crate) fn shop() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SHOP_") || name.starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").env("SHOP_LOG_LEVEL", "warn").stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_shop"))
}

fn spawn(folder: &Path, environment: &[(String, String)]) -> Child {
    shop()
        .args(["up", "--listen", "127.0.0.1:0", "--output", "json", "--data-dir"])
        .arg(folder)
        .args(["--admin-email", ADMIN_EMAIL])
        .env("SHOP_ADMIN_PASSWORD", ADMIN_PASSWORD)
        .env("SHOP_PAYMENT_WEBHOOK_SECRET", WEBHOOK_SECRET)
        .env("SHOP_ACCESS_TOKEN_TTL", "1h")
        .env("SHOP_NO_DEMO", "true")
        .envs(CLIENT_LIMITS)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::piped())
        .stderr(std::fs::File::options().create(true).append(true).open(folder.join("stderr.log")).unwrap())
        .spawn()
        .unwrap()
}

async fn launch(folder: &Path, environment: &[(String, String)]) -> (Child, Ready) {
    let mut child = spawn(folder, environment);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(START_BOUND, lines.next_line()).await.expect("ready in time").unwrap();
    let Some(line) = line else {
        let status = child.wait().await.unwrap();
        let log = std::fs::read_to_string(folder.join("stderr.log")).unwrap_or_default();
        panic!("shop up ended with {status} before it was ready:\n{log}");
    };
    let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    // Keep reading, so that the pipe never fills.
    tokio::spawn(async move { drop(lines.into_inner().read_to_end(&mut Vec::new()).await) });
    (child, ready)
}

/// Memory of a process, its share of what it shares with others included.
pub(crate) fn pss_kib(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A line of what the kernel says of a process's memory.
fn memory_kib(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
