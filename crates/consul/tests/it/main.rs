//! The client against a real Consul, and against what is none.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in what its functions share too")]
#![expect(clippy::unnecessary_wraps, reason = "waits are optional everywhere, and these tests have some")]

mod access;
mod faults;
mod keys;
mod quiet;
mod services;

use std::time::Duration;

use shop_consul::{Authority, Client, ClientOptions, Token, Wait};
use shop_testing_consul::Consul;

/// Longer than anything here takes, for waits that something else must end.
const PATIENCE: Duration = Duration::from_secs(30);

fn client_of(url: &str) -> Client {
    Client::new(ClientOptions { address: url.parse().unwrap(), token: Token::Anonymous, authority: Authority::System })
}

fn client(consul: &Consul) -> Client {
    client_of(&consul.url())
}

fn until_newer_than(index: u64) -> Option<Wait> {
    Some(Wait { index, time: PATIENCE })
}
