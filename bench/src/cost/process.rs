//! A process that is measured: what it has used of the CPU, what memory it holds, and when it was ready.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, ChildStdin, Command},
};

/// How long a process may take to be ready.
const START_BOUND: Duration = Duration::from_mins(2);
/// Between two looks whether it is: below what is told apart.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// The unit of the times in `/proc/<pid>/stat`, which on Linux is a hundredth of a second whatever the kernel's own.
const TICKS_PER_SECOND: f64 = 100.0;
const MICROS_PER_SECOND: f64 = 1e6;

/// A running process. Dropping it kills it.
pub(super) struct Process {
    child: Child,
    pid: u32,
    /// Floors leave when it is closed, also when this program is killed.
    _stdin: Option<ChildStdin>,
    pub(super) ready_after: Duration,
}

impl Process {
    /// Starts a process that prints one line when it is ready, and gives that line.
    pub(super) async fn that_says(mut command: Command, log: &Path) -> anyhow::Result<(Self, String)> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let begun = Instant::now();
        let mut process = Self::spawn(command, log)?;
        let stdout = process.child.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START_BOUND, lines.next_line()).await.context("not ready in time")??;
        process.ready_after = begun.elapsed();
        // Read on, so that the pipe never fills.
        tokio::spawn(async move { drop(lines.into_inner().read_to_end(&mut Vec::new()).await) });
        let line = line.with_context(|| format!("it ended before it was ready; see {}", log.display()))?;
        Ok((process, line))
    }

    /// Starts a process and waits until its probe says that it is ready.
    pub(super) async fn that_is_probed(mut command: Command, admin: SocketAddr, log: &Path) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let begun = Instant::now();
        let mut process = Self::spawn(command, log)?;
        while !is_ready(admin).await {
            if let Some(status) = process.child.try_wait()? {
                bail!("it ended with {status} before it was ready; see {}", log.display());
            }
            ensure!(begun.elapsed() < START_BOUND, "it is not ready in time; see {}", log.display());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        process.ready_after = begun.elapsed();
        Ok(process)
    }

    fn spawn(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let name = command.as_std().get_program().display().to_string();
        let mut child = command.stderr(log).kill_on_drop(true).spawn().with_context(|| format!("can't run {name}"))?;
        let pid = child.id().context("it ended at once")?;
        Ok(Self { pid, _stdin: child.stdin.take(), child, ready_after: Duration::ZERO })
    }

    /// CPU time of all its threads so far, those of the kernel for it included, in microseconds.
    pub(super) fn cpu_micros(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // The name, in brackets, may have blanks in it. After it come the fields from the third on.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |field: usize| -> anyhow::Result<f64> {
            Ok(fields.get(field - 3).context("a line of /proc is short")?.parse::<f64>()?)
        };
        // utime and stime, proc_pid_stat(5).
        Ok((ticks(14)? + ticks(15)?) * MICROS_PER_SECOND / TICKS_PER_SECOND)
    }

    /// Memory it holds, its share of what it shares with others included, in MiB.
    pub(super) fn pss_mib(&self) -> anyhow::Result<f64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss in smaps_rollup")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }

    /// SIGTERM by the shell's `kill`, and the end.
    pub(super) async fn leave(mut self) -> anyhow::Result<()> {
        let asked = Command::new("kill").arg(self.pid.to_string()).status().await?;
        ensure!(asked.success(), "process {} is gone already", self.pid);
        tokio::time::timeout(START_BOUND, self.child.wait()).await.context("it does not leave")??;
        Ok(())
    }
}

async fn is_ready(admin: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(admin).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n").await?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        std::io::Result::Ok(answer == *b"HTTP/1.1 200")
    };
    ask.await.unwrap_or(false)
}

/// A port of the loopback interface that is free now.
pub(super) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A program that lies beside this one, with nothing of this one's configuration.
pub(super) fn program(name: &str) -> anyhow::Result<Command> {
    let path = beside(name)?;
    ensure!(path.exists(), "{} is missing: make release builds it", path.display());
    let mut command = Command::new(path);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SHOP_") || name.starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL");
    Ok(command)
}

/// Where it lies.
pub(super) fn beside(name: &str) -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}
