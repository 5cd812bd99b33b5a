//! How a process finds the others, and how it is found.

use std::{
    net::{IpAddr, Ipv6Addr},
    path::PathBuf,
    str::FromStr,
};

use secrecy::SecretString;
use shop_consul::{Authority, ClientOptions, ConsulAddress, Token};
use thiserror::Error;

/// Where Consul is and what this process is called there. Without Consul, the addresses of the other services are those
/// that are given.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Discovery")]
pub struct DiscoveryOptions {
    /// Where Consul answers; without it the given addresses of the services are used and nothing is registered.
    #[arg(long, env = "SHOP_CONSUL_ADDRESS", value_name = "URL")]
    pub consul_address: Option<ConsulAddress>,

    /// ACL token for Consul.
    #[arg(long, env = "SHOP_CONSUL_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = token, requires = "consul_address")]
    pub consul_token: Option<SecretString>,

    /// File with the ACL token for Consul; read for each request, so that it may be exchanged.
    #[arg(
        long,
        env = "SHOP_CONSUL_TOKEN_FILE",
        value_name = "FILE",
        conflicts_with = "consul_token",
        requires = "consul_address"
    )]
    pub consul_token_file: Option<PathBuf>,

    /// File with the certificates (PEM) that Consul's own must descend from; the system's otherwise. Read for each
    /// connection, so that it may be exchanged.
    #[arg(long, env = "SHOP_CONSUL_CA_FILE", value_name = "FILE", requires = "consul_address")]
    pub consul_ca_file: Option<PathBuf>,

    /// How this process is registered: with the agent on its machine, or in the catalogue.
    #[arg(long, env = "SHOP_CONSUL_REGISTRATION", value_name = "MODE", default_value = "agent")]
    pub consul_registration: Registration,

    /// The shop's name: the services are registered as `<name>-<service>`.
    #[arg(long, env = "SHOP_NAME", value_name = "NAME", default_value = "shop", value_parser = label)]
    pub shop_name: String,

    /// The namespace of the shop: its settings are at `shops/<namespace>/<name>/config` in Consul.
    #[arg(long, env = "SHOP_NAMESPACE", value_name = "NAME", default_value = "default", value_parser = label)]
    pub shop_namespace: String,

    /// Where others reach this process; by default the address of this machine towards Consul, and the port it serves on.
    #[arg(long, env = "SHOP_ADVERTISE", value_name = "HOST[:PORT]")]
    pub advertise: Option<Advertised>,

    /// What this process is registered as; by default `<service>-<host>-<port>`. A pod's uid, for example.
    #[arg(long, env = "SHOP_INSTANCE_ID", value_name = "ID", value_parser = instance_id)]
    pub instance_id: Option<String>,

    /// File with the settings (JSON) that hold until Consul has given some.
    #[arg(long, env = "SHOP_SETTINGS_FILE", value_name = "FILE")]
    pub settings_file: Option<PathBuf>,
}

impl DiscoveryOptions {
    /// How Consul is spoken to, if there is one.
    pub(crate) fn client(&self) -> Option<ClientOptions> {
        let token = match (&self.consul_token, &self.consul_token_file) {
            (Some(token), _) => Token::Given(token.clone()),
            (None, Some(file)) => Token::File(file.clone()),
            (None, None) => Token::Anonymous,
        };
        let address = self.consul_address.clone()?;
        let authority = self.consul_ca_file.clone().map_or(Authority::System, Authority::File);
        Some(ClientOptions { address, token, authority })
    }
}

impl Default for DiscoveryOptions {
    /// No Consul.
    fn default() -> Self {
        Self {
            consul_address: None,
            consul_token: None,
            consul_token_file: None,
            consul_ca_file: None,
            consul_registration: Registration::Agent,
            shop_name: "shop".to_owned(),
            shop_namespace: "default".to_owned(),
            advertise: None,
            instance_id: None,
            settings_file: None,
        }
    }
}

/// Who keeps a registration in Consul.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Registration {
    /// The agent that is asked, which must always be the same: it takes an instance out that is not heard of for 10 s.
    Agent,
    /// The catalogue, under one node for the whole shop: any server will do, and whoever starts the processes takes out
    /// those that are gone.
    Catalog,
}

/// Where others reach this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// A name or an address.
    pub host: String,
    /// The port it serves on, unless given.
    pub port: Option<u16>,
}

impl FromStr for Advertised {
    type Err = InvalidAdvertised;

    fn from_str(text: &str) -> Result<Self, InvalidAdvertised> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self { host: address.to_string(), port: None });
        }
        let (host, port) = if let Some(bracketed) = text.strip_prefix('[') {
            let (address, port) = bracketed.split_once(']').ok_or(InvalidAdvertised)?;
            address.parse::<Ipv6Addr>().map_err(|_| InvalidAdvertised)?;
            (address, port)
        } else {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let in_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if !(1..=253).contains(&host.len()) || !host.chars().all(in_host) {
                return Err(InvalidAdvertised);
            }
            (host, port)
        };
        let port = match port.strip_prefix(':').map(str::parse) {
            None if port.is_empty() => None,
            Some(Ok(number)) if number != 0 => Some(number),
            _ => return Err(InvalidAdvertised),
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Text that is no host, nor host and port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected a host or host:port")]
pub struct InvalidAdvertised;

/// As Kubernetes names things (RFC 1123), with room for the service's name within the 63 of Consul's DNS.
fn label(text: &str) -> Result<String, String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let outer = !text.starts_with('-') && !text.ends_with('-');
    if (1..=53).contains(&text.len()) && outer && text.chars().all(inner) {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 53 lower-case letters, digits or '-', and no '-' at the ends".to_owned())
    }
}

/// It travels in URLs and filters.
fn instance_id(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=128).contains(&text.len()) && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 128 letters, digits, '-', '_' or '.'".to_owned())
    }
}

/// It travels in a header.
fn token(text: &str) -> Result<SecretString, String> {
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic()) {
        Ok(SecretString::from(text))
    } else {
        Err("expected visible ASCII".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        discovery: DiscoveryOptions,
    }

    /// They stand twice, once for clap's help and once for processes that are started within another.
    #[test]
    fn the_command_line_has_the_defaults_of_the_type() {
        let parsed = Cli::parse_from(["test"]).discovery;
        assert_eq!(format!("{parsed:?}"), format!("{:?}", DiscoveryOptions::default()));
    }

    #[test]
    fn the_port_may_be_left_to_what_is_served_on() {
        for (text, host, port) in [
            ("10.0.0.7", "10.0.0.7", None),
            ("10.0.0.7:5001", "10.0.0.7", Some(5001)),
            ("user.internal", "user.internal", None),
            ("user.internal:1", "user.internal", Some(1)),
            ("::1", "::1", None),
            ("[::1]", "::1", None),
            ("[::1]:5001", "::1", Some(5001)),
        ] {
            assert_eq!(text.parse(), Ok(Advertised { host: host.to_owned(), port }), "{text}");
        }
        for bad in ["", ":5001", "host:", "host:0", "host:70000", "http://host", "a@host", "[::1]:"] {
            assert_eq!(bad.parse::<Advertised>(), Err(InvalidAdvertised), "{bad}");
        }
    }

    #[test]
    fn names_can_be_part_of_a_url() {
        assert!(label("demo-1").is_ok() && label(&"a".repeat(53)).is_ok());
        for bad in ["", "-a", "a-", "A", "a/b", "a b"] {
            assert!(label(bad).is_err(), "{bad}");
        }
        assert!(instance_id("order-10.0.0.7-5002").is_ok());
        assert!(instance_id("").is_err() && instance_id("a/b").is_err() && instance_id("a\"b").is_err());
    }
}
