//! Where a request comes from: the peer, or who the proxies in front say it was.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use shop_server::Peer;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Proxies in a row: more are a loop, or a header made up to be long.
const MAX_HOPS: usize = 20;

/// Who asks, as far as the network knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The client's address.
    pub(crate) address: IpAddr,
    /// Whether the client speaks TLS to the first proxy.
    pub(crate) is_https: bool,
}

impl Origin {
    /// What the headers say counts only when a proxy that is trusted sent them.
    pub(crate) fn of(peer: Peer, headers: &HeaderMap, proxies: &[IpNet]) -> Self {
        let address = peer.address.ip().to_canonical();
        if !peer.is_proxy {
            return Self { address, is_https: false };
        }
        Self { address: forwarded(address, headers, proxies), is_https: is_https(headers) }
    }
}

/// The rightmost entry that is not a proxy's own address: each proxy appends whom it heard from, so that what stands left of
/// it is only what the client claims. Where an entry is no address the walk ends, and the proxy that passed it on counts as
/// the client, as it does where none is left: nobody gains an address by sending a bad one, or a long list.
fn forwarded(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let mut nearest = peer;
    let lines = headers.get_all(FORWARDED_FOR);
    // The last line is the latest, as the last entry of a line is (RFC 9110, section 5.3).
    let entries = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    for entry in entries.take(MAX_HOPS) {
        let Some(address) = address(entry) else { return nearest };
        nearest = address;
        if !proxies.iter().any(|network| network.contains(&address)) {
            return address;
        }
    }
    nearest
}

/// An address, perhaps with a port, as some proxies write it.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?.trim();
    let bare = entry.strip_prefix('[').and_then(|entry| entry.strip_suffix(']')).unwrap_or(entry);
    let parsed = bare.parse::<IpAddr>().ok().or_else(|| entry.parse::<SocketAddr>().ok().map(|with| with.ip()))?;
    Some(parsed.to_canonical())
}

/// The nearest proxy's word, which is the last.
fn is_https(headers: &HeaderMap) -> bool {
    let last = headers.get_all(FORWARDED_PROTO).iter().next_back();
    let entry = last.and_then(|line| line.as_bytes().rsplit(|byte| *byte == b',').next());
    entry.is_some_and(|entry| entry.trim_ascii().eq_ignore_ascii_case(b"https"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// Behind `10.0.0.0/8` and `2001:db8::/32`; the peer is `10.0.0.1`.
    fn origin(lines: &[&str]) -> String {
        let proxies = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        let peer = Peer { address: "10.0.0.1:9".parse().unwrap(), is_proxy: true };
        let headers = lines.iter().map(|line| (FORWARDED_FOR, HeaderValue::try_from(*line).unwrap())).collect();
        Origin::of(peer, &headers, &proxies).address.to_string()
    }

    #[test]
    fn the_nearest_that_is_no_proxy_is_the_client() {
        assert_eq!(origin(&["203.0.113.7"]), "203.0.113.7");
        assert_eq!(origin(&["198.51.100.1, 203.0.113.7, 10.2.3.4"]), "203.0.113.7");
        assert_eq!(origin(&["198.51.100.1", "203.0.113.7", "10.2.3.4,10.9.9.9"]), "203.0.113.7");
        assert_eq!(origin(&["2001:db8:ffff::1, 2a00:1450::5, 2001:db8::9"]), "2a00:1450::5");
        assert_eq!(origin(&["203.0.113.7:4711"]), "203.0.113.7");
        assert_eq!(origin(&["[2a00:1450::5]:4711"]), "2a00:1450::5");
        assert_eq!(origin(&["[2a00:1450::5]"]), "2a00:1450::5");
        assert_eq!(origin(&["::ffff:203.0.113.7"]), "203.0.113.7");
    }

    #[test]
    fn what_is_no_address_ends_the_walk() {
        assert_eq!(origin(&[]), "10.0.0.1");
        for nothing in
            ["", "unknown", "203.0.113.7, _hidden", "203.0.113.7,", "203.0.113.7, ,", "300.1.1.1", "\"203.0.113.7\""]
        {
            assert_eq!(origin(&[nothing]), "10.0.0.1", "{nothing}");
        }
        assert_eq!(origin(&["nonsense, 10.7.7.7"]), "10.7.7.7");
        // What is left of the client's own address is the client's, and not read.
        assert_eq!(origin(&["<script>, 203.0.113.7"]), "203.0.113.7");
    }

    #[test]
    fn a_request_from_within_is_the_farthest_proxys_and_a_long_list_is_not_walked() {
        assert_eq!(origin(&["10.1.1.1, 10.2.2.2"]), "10.1.1.1");
        let many: Vec<_> = (0..100).map(|n| format!("10.0.1.{n}")).collect();
        assert_eq!(origin(&[&many.join(",")]), "10.0.1.80");
    }

    #[test]
    fn nobody_else_is_believed() {
        let headers = [("x-forwarded-for", "203.0.113.7"), ("x-forwarded-proto", "https")]
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let headers = HeaderMap::from_iter(headers);
        let proxies = ["10.0.0.0/8".parse().unwrap()];
        let of = |address: &str, is_proxy| {
            Origin::of(Peer { address: address.parse().unwrap(), is_proxy }, &headers, &proxies)
        };
        let client = "192.0.2.1".parse().unwrap();
        assert_eq!(of("192.0.2.1:9", false), Origin { address: client, is_https: false });
        let client = "203.0.113.7".parse().unwrap();
        assert_eq!(of("10.0.0.1:9", true), Origin { address: client, is_https: true });
    }

    #[test]
    fn the_nearest_proxy_knows_whether_it_was_https() {
        let https = |lines: &[&'static str]| {
            is_https(&lines.iter().map(|line| (FORWARDED_PROTO, HeaderValue::from_static(line))).collect())
        };
        assert!(https(&["https"]) && https(&["http, HTTPS "]) && https(&["http", "https"]));
        assert!(!https(&[]) && !https(&["http"]) && !https(&["https, http"]) && !https(&["httpss"]));
    }
}
