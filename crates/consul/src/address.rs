//! Where Consul answers.

use std::{fmt, str::FromStr};

use reqwest_consul::Url;
use thiserror::Error;

/// `http://host:port` or `https://host:port` of a Consul server or agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsulAddress(Url);

impl ConsulAddress {
    /// The URL, with a slash at its end.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Host and port, to find out which way leads there.
    pub fn host_and_port(&self) -> (&str, u16) {
        let host = self.0.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        (host, self.0.port_or_known_default().unwrap_or_default())
    }

    /// Whether the connection is to be encrypted.
    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl fmt::Display for ConsulAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for ConsulAddress {
    type Err = InvalidConsulAddress;

    fn from_str(text: &str) -> Result<Self, InvalidConsulAddress> {
        let url: Url = text.parse().map_err(|_| InvalidConsulAddress)?;
        let known = matches!(url.scheme(), "http" | "https") && url.has_host();
        let anonymous = url.username().is_empty() && url.password().is_none();
        // consulrs puts the version before the path of the address.
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if known && anonymous && bare { Ok(Self(url)) } else { Err(InvalidConsulAddress) }
    }
}

/// Text that is no URL of Consul.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected http://host:port or https://host:port")]
pub struct InvalidConsulAddress;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_url_without_a_path() {
        for (text, host, port) in [
            ("http://127.0.0.1:8500", "127.0.0.1", 8500),
            ("https://consul.example", "consul.example", 443),
            ("http://consul-server:8500/", "consul-server", 8500),
            ("http://[::1]:8500", "::1", 8500),
        ] {
            let address: ConsulAddress = text.parse().unwrap();
            assert_eq!(address.host_and_port(), (host, port));
            assert_eq!(address.to_string(), text.trim_end_matches('/'));
        }
        for bad in
            ["", "consul:8500", "ftp://consul", "http://", "http://consul/v1", "http://u@consul", "http://consul?a"]
        {
            assert_eq!(bad.parse::<ConsulAddress>(), Err(InvalidConsulAddress), "{bad}");
        }
    }
}
