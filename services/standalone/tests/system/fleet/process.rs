//! One process of a fleet: started, asked to leave, killed, frozen and continued.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};

/// How long a debug build on two busy cores may take to be ready.
pub(super) const START_BOUND: Duration = Duration::from_mins(1);
/// How long leaving may take: the lead, the drain and what is at its end, well within Kubernetes' grace period of 40 s.
const LEAVE_BOUND: Duration = Duration::from_secs(35);

/// Environment variables of a process.
pub(super) type Environment = Vec<(String, String)>;

/// A running service. Dropping it kills the process.
pub(crate) struct Process {
    pub(crate) service: &'static str,
    /// Its id in the registry, where it does not make one itself.
    pub(crate) instance: String,
    pub(crate) serve: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts `shop-<service> serve` and waits until it listens.
    pub(super) async fn start(
        service: &'static str,
        instance: String,
        environment: &[(String, String)],
        folder: &Path,
    ) -> Self {
        let log = folder.join(format!("{instance}.log"));
        let mut child = program(service)
            .arg("serve")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stderr(std::fs::File::options().create(true).append(true).open(&log).unwrap())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let (serve, admin) = loop {
            if let Some(addresses) = serving(&log) {
                break addresses;
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{instance} ended with {status}:\n{}", text(&log));
            }
            assert!(begun.elapsed() < START_BOUND, "{instance} does not listen:\n{}", text(&log));
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        Self { service, instance, serve, admin, log, child }
    }

    /// Waits until `/readyz` says so.
    pub(crate) async fn ready(&self) {
        let url = format!("http://{}/readyz", self.admin);
        let begun = Instant::now();
        loop {
            let answer = reqwest::Client::new().get(&url).timeout(Duration::from_secs(2)).send().await;
            let last = match answer {
                Ok(answer) if answer.status() == 200 => return,
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            assert!(begun.elapsed() < START_BOUND, "{} is not ready: {last}\n{}", self.instance, text(&self.log));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A count from `/metrics`: the sum over all label sets that contain `labels`; 0 where there is none.
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> u64 {
        let url = format!("http://{}/metrics", self.admin);
        let metrics = reqwest::get(&url).await.unwrap().text().await.unwrap();
        let lines = metrics.lines().filter(|line| line.starts_with(name) && line.contains(labels));
        let of = |line: &str| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            // The name whole, not the beginning of another.
            if series.split('{').next() == Some(name) { value.parse().unwrap() } else { 0 }
        };
        lines.map(of).sum()
    }

    /// What it sees of the others: `/debug/upstreams`.
    pub(crate) async fn debug(&self) -> Value {
        let url = format!("http://{}/debug/upstreams", self.admin);
        serde_json::from_str(&reqwest::get(&url).await.unwrap().text().await.unwrap()).unwrap()
    }

    /// Its memory in KiB, its share of what it shares with others included.
    pub(crate) fn pss_kib(&self) -> u64 {
        crate::shop::pss_kib(self.child.id().expect("still running"))
    }

    /// SIGTERM, and the end in order.
    pub(crate) async fn leave(mut self) {
        self.signal(Signal::TERM);
        let ended = tokio::time::timeout(LEAVE_BOUND, self.child.wait()).await;
        let status =
            ended.unwrap_or_else(|_| panic!("{} does not leave:\n{}", self.instance, text(&self.log))).unwrap();
        assert!(status.success(), "{} left with {status}:\n{}", self.instance, text(&self.log));
    }

    /// SIGKILL: nothing gets to run any more.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGSTOP, SIGCONT and the like.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().expect("still running")).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    pub(crate) fn log_text(&self) -> String {
        text(&self.log)
    }
}

/// Runs a command of a service's binary to its end and gives what it printed.
pub(super) async fn run(service: &str, arguments: &[&str], environment: &[(String, String)]) -> String {
    let environment = environment.iter().map(|(name, value)| (name, value));
    let output = program(service)
        .args(arguments)
        .envs(environment)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .await
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{service} {arguments:?} ended with {}:\n{stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// The binary of a service, which lies beside the one of this package, with nothing of this process's configuration.
fn program(service: &str) -> Command {
    let path = Path::new(env!("CARGO_BIN_EXE_shop")).with_file_name(format!("shop-{service}"));
    assert!(path.exists(), "{} is missing: run cargo build --workspace --bins --all-features first", path.display());
    let mut command = Command::new(path);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SHOP_") || name.starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    command
}

/// The addresses of the last line that says them.
fn serving(log: &Path) -> Option<(SocketAddr, SocketAddr)> {
    let text = text(log);
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let last = lines.rev().find(|line| line["message"] == "serving")?;
    let address = |name: &str| last[name].as_str()?.parse().ok();
    Some((address("server.address")?, address("admin.address")?))
}

pub(super) fn text(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}
