//! Where a service's instances are: the interface, and addresses that are given and stay.

use std::{fmt, net::SocketAddr, str::FromStr, sync::Arc};

use http::uri::Authority;
use thiserror::Error;
use tokio::sync::watch;

/// One running copy of a service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Instance {
    /// Unique among the service's instances.
    pub id: String,
    /// Host (a name or an address) and port.
    pub authority: Authority,
    /// What tells this run of the process from the one before at the same address, where the resolver can tell: then one
    /// that turns out to be another service's is not tried again.
    pub incarnation: Option<String>,
}

/// Knows a service's instances and says when they change.
pub trait Resolver {
    /// The present set and its changes. An update replaces the whole set.
    fn watch(&self) -> watch::Receiver<Arc<[Instance]>>;

    /// Where calls go while every instance of the set is out.
    fn fallback(&self) -> Arc<[Instance]> {
        Arc::new([])
    }
}

impl<R: Resolver + ?Sized> Resolver for &R {
    fn watch(&self) -> watch::Receiver<Arc<[Instance]>> {
        (**self).watch()
    }

    fn fallback(&self) -> Arc<[Instance]> {
        (**self).fallback()
    }
}

impl<R: Resolver + ?Sized> Resolver for Arc<R> {
    fn watch(&self) -> watch::Receiver<Arc<[Instance]>> {
        (**self).watch()
    }

    fn fallback(&self) -> Arc<[Instance]> {
        (**self).fallback()
    }
}

/// `host:port`, as in `--user-address`. A host name is resolved each time a connection is made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address(Authority);

impl Address {
    pub(crate) fn into_authority(self) -> Authority {
        self.0
    }
}

/// Text that is no `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not host:port")]
pub struct InvalidAddress(String);

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress(text.to_owned());
        let authority = Authority::from_str(text).map_err(|_| invalid())?;
        let complete = !authority.host().is_empty() && authority.port_u16().is_some_and(|port| port != 0);
        if complete && !text.contains('@') { Ok(Self(authority)) } else { Err(invalid()) }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let authority = Authority::from_str(&address.to_string());
        Self(authority.unwrap_or_else(|_| unreachable!("a socket address is a valid authority")))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Addresses from the configuration. Each is an instance with the address for its id; repeats count once.
#[derive(Debug, Clone)]
pub struct StaticResolver {
    instances: watch::Sender<Arc<[Instance]>>,
}

impl StaticResolver {
    /// The instances at these addresses, for ever.
    pub fn new(addresses: impl IntoIterator<Item = impl Into<Address>>) -> Self {
        let mut instances: Vec<Instance> = Vec::new();
        for Address(authority) in addresses.into_iter().map(Into::into) {
            if instances.iter().all(|known| known.authority != authority) {
                instances.push(Instance { id: authority.to_string(), authority, incarnation: None });
            }
        }
        Self { instances: watch::Sender::new(instances.into()) }
    }
}

impl Resolver for StaticResolver {
    fn watch(&self) -> watch::Receiver<Arc<[Instance]>> {
        self.instances.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for good in ["user:5001", "127.0.0.1:5001", "[::1]:5001", "user.shop.svc.cluster.local:80"] {
            assert_eq!(good.parse::<Address>().unwrap().to_string(), good);
        }
        for bad in ["", "user", ":5001", "user:", "user:0", "user:70000", "http://user:5001", "a@user:5001", "a b:1"] {
            assert_eq!(bad.parse::<Address>(), Err(InvalidAddress(bad.to_owned())), "{bad}");
        }
    }

    #[test]
    fn a_socket_address_is_an_address() {
        let address: SocketAddr = "[::1]:5001".parse().unwrap();
        assert_eq!(Address::from(address).to_string(), "[::1]:5001");
    }

    #[test]
    fn the_same_address_twice_is_one_instance() {
        let address: Address = "user:5001".parse().unwrap();
        let resolver = StaticResolver::new([address.clone(), address]);
        assert_eq!(resolver.watch().borrow().len(), 1);
    }
}
