//! The options that every serving process has.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use shop_types::parse_duration;

use crate::TlsOptions;

/// Longest time a call may take unless the caller gives it less: beyond it people have left and clients try again.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls worked on at once. At 100 µs of CPU each it is some 50 ms of work a core, so a call that is let in still meets its
/// deadline.
const MAX_IN_FLIGHT: usize = 512;
/// Largest body of the REST surface.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// What a message may have beyond the body it was made from: ids, addresses and what frames them. With less a body that
/// the gateway takes could be refused behind it.
const MESSAGE_HEADROOM: usize = 64 * 1024;
/// Largest message that a server reads unless told otherwise; nothing between the services is larger.
pub const MAX_MESSAGE_BYTES: usize = MAX_BODY_BYTES + MESSAGE_HEADROOM;
/// How long resolvers get to notice that this instance leaves before it stops accepting.
const DRAIN_LEAD: Duration = Duration::from_secs(3);
/// How long calls in flight get to finish: twice the request time-out.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// Where a server listens and what it allows.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Server")]
pub struct ServerOptions {
    /// Address to serve on; by default the service's own port on every interface.
    #[arg(long, env = "SHOP_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,

    /// Address of /livez, /readyz, /metrics and /debug.
    #[arg(long, env = "SHOP_ADMIN_LISTEN", value_name = "ADDRESS:PORT", default_value = "0.0.0.0:9090")]
    pub admin_listen: SocketAddr,

    /// Identity of the shop this process belongs to; calls meant for another shop are refused.
    #[arg(long, env = "SHOP_UID", value_name = "UID", default_value = "local", value_parser = shop_uid)]
    pub shop_uid: String,

    /// Longest time a request may take, unless its caller gives it less.
    #[arg(long, env = "SHOP_REQUEST_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = positive_duration)]
    pub request_timeout: Duration,

    /// Requests worked on at once; more are refused at once rather than queued.
    #[arg(long, env = "SHOP_MAX_IN_FLIGHT", value_name = "COUNT", default_value_t = MAX_IN_FLIGHT, value_parser = positive)]
    pub max_in_flight: usize,

    /// Largest message that a service reads.
    #[arg(long, env = "SHOP_MAX_MESSAGE_BYTES", value_name = "BYTES", default_value_t = MAX_MESSAGE_BYTES, value_parser = positive)]
    pub max_message_bytes: usize,

    /// Time between turning unready and the end of accepting, for others to notice.
    #[arg(long, env = "SHOP_DRAIN_LEAD", value_name = "DURATION", default_value = "3s", value_parser = parse_duration)]
    pub drain_lead: Duration,

    /// Time that requests in flight get to finish when the process leaves.
    #[arg(long, env = "SHOP_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "20s", value_parser = parse_duration)]
    pub drain_timeout: Duration,

    /// How calls between services are protected.
    #[command(flatten)]
    pub tls: TlsOptions,
}

impl ServerOptions {
    /// The defaults, for a server inside another process: the admin port is any free one on the loopback interface, and
    /// no resolver needs time to notice that it leaves.
    pub fn embedded(listen: SocketAddr) -> Self {
        Self {
            listen: Some(listen),
            admin_listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            drain_lead: Duration::ZERO,
            ..Self::default()
        }
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            listen: None,
            admin_listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9090),
            shop_uid: "local".to_owned(),
            request_timeout: REQUEST_TIMEOUT,
            max_in_flight: MAX_IN_FLIGHT,
            max_message_bytes: MAX_MESSAGE_BYTES,
            drain_lead: DRAIN_LEAD,
            drain_timeout: DRAIN_TIMEOUT,
            tls: TlsOptions::default(),
        }
    }
}

/// It travels in a header and is joined to the service's name by a slash.
fn shop_uid(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=64).contains(&text.len()) && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 64 letters, digits, '-', '_' or '.'".to_owned())
    }
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("expected a whole number above 0".to_owned()),
    }
}

pub(crate) fn positive_duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("expected more than 0".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        server: ServerOptions,
    }

    /// The figures stand twice, once for clap's help and once as constants.
    #[test]
    fn the_command_line_has_the_defaults_of_the_type() {
        let parsed = Cli::parse_from(["test"]).server;
        assert_eq!(format!("{parsed:?}"), format!("{:?}", ServerOptions::default()));
    }
}
