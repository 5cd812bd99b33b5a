//! A database server of one test's own, which can be stopped, hung and started again.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::database::{SERVER_VARIABLE, answers};

/// Longer than a server takes to start, or to stop, on a loaded machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often it is looked at meanwhile.
const INTERVAL: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Postgres,
    MariaDb,
}

/// A server process with a database in it; both end when this is dropped.
#[derive(Debug)]
pub struct OwnServer {
    kind: Kind,
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl OwnServer {
    /// One of the engine that is tested, once it answers; `None` where that is SQLite.
    pub async fn of_the_tested_engine() -> Option<Self> {
        match std::env::var(SERVER_VARIABLE) {
            Ok(server) => Some(Self::like(&server).await),
            Err(_) => None,
        }
    }

    /// One of the engine that the server at a URL is of, once it answers.
    pub async fn like(server: &str) -> Self {
        let kind = if server.starts_with("postgres") { Kind::Postgres } else { Kind::MariaDb };
        let folder = TempDir::with_prefix("shop-server-").unwrap();
        // Both refuse to be root, and then are users who have to reach their folder.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut server = Self { kind, folder, port, process: None };
        server.install();
        server.start().await;
        server
    }

    /// The URL of its database, for a user who may do anything.
    pub fn url(&self) -> String {
        match self.kind {
            Kind::Postgres => format!("postgres://shop@127.0.0.1:{}/postgres?sslmode=disable", self.port),
            Kind::MariaDb => format!("mysql://shop@127.0.0.1:{}/shop?ssl-mode=disabled", self.port),
        }
    }

    /// Starts it, where and with what it was before; returns once it answers.
    pub async fn start(&mut self) {
        assert!(self.process.is_none(), "it runs");
        self.process = Some(self.command().spawn().unwrap());
        let begun = Instant::now();
        while !answers(&self.url()).await {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "no server: {ended:?}\n{}", self.log());
            sleep(INTERVAL).await;
        }
    }

    /// Stops it as an operator does: connections are closed, nothing that was committed is lost.
    pub async fn stop(&mut self) {
        // PostgreSQL waits for its clients after TERM, and does not after INT; MariaDB knows TERM.
        self.signal(match self.kind {
            Kind::Postgres => Signal::INT,
            Kind::MariaDb => Signal::TERM,
        });
        let mut process = self.process.take().unwrap();
        let begun = Instant::now();
        while process.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "the server does not stop\n{}", self.log());
            sleep(INTERVAL).await;
        }
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_err());
    }

    /// Keeps all of it from going on: the kernel still takes connections, and nobody answers.
    pub fn hang(&self) {
        self.signal(Signal::STOP);
        for child in self.children() {
            signal(child, Signal::STOP);
        }
    }

    /// Lets it go on.
    pub fn resume(&self) {
        for child in self.children() {
            signal(child, Signal::CONT);
        }
        self.signal(Signal::CONT);
    }

    fn signal(&self, sent: Signal) {
        signal(self.pid(), sent);
    }

    fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// PostgreSQL has a process for each connection.
    fn children(&self) -> Vec<u32> {
        let pid = self.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        children.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Makes the files of a new server.
    fn install(&self) {
        let own = self.folder.path().join("own");
        fs::create_dir(&own).unwrap();
        if geteuid().is_root() {
            succeed(Command::new("chown").arg(self.user()).arg(&own));
        }
        let data = own.join("data");
        match self.kind {
            Kind::Postgres => {
                let mut initdb = self.become_user(&postgres_program("initdb"));
                initdb.arg("--pgdata").arg(&data).args(["--username", "shop", "--auth", "trust", "--no-sync"]);
                succeed(initdb.args(["--encoding", "UTF8", "--locale", "C.UTF-8"]));
            }
            Kind::MariaDb => {
                let mut install = self.become_user(Path::new("mariadb-install-db"));
                install.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
                succeed(install.args(["--skip-test-db", "--auth-root-authentication-method=normal"]));
                let commands = "CREATE USER IF NOT EXISTS 'shop'@'127.0.0.1';\n\
                                GRANT ALL ON *.* TO 'shop'@'127.0.0.1';\nCREATE DATABASE IF NOT EXISTS shop;\n";
                fs::write(self.folder.path().join("init.sql"), commands).unwrap();
            }
        }
    }

    fn command(&self) -> Command {
        let (folder, port) = (self.folder.path(), self.port);
        let (own, data) = (folder.join("own"), folder.join("own/data"));
        let mut command = match self.kind {
            Kind::Postgres => {
                let mut postgres = self.become_user(&postgres_program("postgres"));
                postgres.arg("-D").arg(data);
                for setting in [
                    format!("port={port}"),
                    format!("unix_socket_directories={}", own.display()),
                    "listen_addresses=127.0.0.1".to_owned(),
                    "fsync=off".to_owned(),
                    "shared_buffers=16MB".to_owned(),
                ] {
                    postgres.arg("-c").arg(setting);
                }
                postgres
            }
            Kind::MariaDb => {
                let mut mariadb = self.become_user(Path::new("mariadbd"));
                mariadb
                    .arg("--no-defaults")
                    .arg(format!("--datadir={}", data.display()))
                    .arg(format!("--port={port}"))
                    .arg(format!("--socket={}", own.join("socket").display()))
                    .arg(format!("--pid-file={}", own.join("pid").display()))
                    .arg(format!("--init-file={}", folder.join("init.sql").display()))
                    .args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin"])
                    .args(["--innodb-flush-method=nosync", "--innodb-buffer-pool-size=16M"]);
                mariadb
            }
        };
        let log = fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        command
    }

    fn user(&self) -> &'static str {
        match self.kind {
            Kind::Postgres => "postgres",
            Kind::MariaDb => "mysql",
        }
    }

    /// A program as the user that Debian's packages made for it, if this process is root. It ends with this process.
    fn become_user(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).current_dir("/");
        if geteuid().is_root() {
            command.args(["--reuid", self.user(), "--regid", self.user(), "--init-groups"]);
        }
        command.arg("--").arg(program);
        command
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        if self.process.is_none() {
            return;
        }
        let children = self.children();
        self.signal(Signal::KILL);
        for child in children {
            signal(child, Signal::KILL);
        }
        let _ended = self.process.take().unwrap().wait();
    }
}

/// One that has just ended needs none.
fn signal(pid: u32, signal: Signal) {
    let _gone = kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal);
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Debian keeps the programs of each version in a folder of their own; the newest.
fn postgres_program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").unwrap();
    let version = |folder: PathBuf| Some((folder.file_name()?.to_str()?.parse::<u32>().ok()?, folder));
    let (_, newest) = versions.filter_map(|folder| version(folder.unwrap().path())).max().unwrap();
    newest.join("bin").join(name)
}
