//! Asks a process's admin port whether it is ready: for images that have no client in them.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

/// Readiness is answered from memory; who needs longer is not ready.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The answer is a status and a short report.
const MAX_ANSWER_BYTES: u64 = 16 * 1024;

/// Where the process's admin port is: what `serve` is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Healthcheck {
    /// Address of /readyz; an address that stands for every interface is asked on the loopback one.
    #[arg(long, env = "SHOP_ADMIN_LISTEN", value_name = "ADDRESS:PORT", default_value = "0.0.0.0:9090")]
    pub admin_listen: SocketAddr,
}

impl Healthcheck {
    /// Exits with 0 if the process is ready, else with 1 and a line that says why.
    pub fn run(&self) -> ExitCode {
        let complaint = match self.ask() {
            Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => return ExitCode::SUCCESS,
            Ok(answer) => format!("not ready: {}", answer.rsplit("\r\n\r\n").next().unwrap_or_default()),
            Err(error) => format!("the admin port at {} does not answer: {error}", self.admin_listen),
        };
        // Nothing is left to do when stderr is gone.
        let _ = writeln!(io::stderr(), "{complaint}");
        ExitCode::FAILURE
    }

    fn ask(&self) -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.reachable(), TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn reachable(&self) -> SocketAddr {
        let ip = match self.admin_listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, self.admin_listen.port())
    }
}
