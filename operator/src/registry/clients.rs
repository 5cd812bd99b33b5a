//! Clients of Consul, one for each way to reach one, and which of those does not answer at the moment.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use shop_consul::{Authority, Client, ClientOptions, Token};
use tokio::time::Instant;

use super::RegistryError;
use crate::build::digest;

/// How long a Consul that did not answer is left alone, and then asked for one Shop alone until it answers again: asking one
/// that hangs takes two seconds, and all Shops that use it would ask.
const LEFT_ALONE: Duration = Duration::from_secs(5);
/// How long it is remembered that one did not answer when nobody asks any more.
const REMEMBERED: Duration = Duration::from_mins(10);
/// Clients that are kept; more Consuls than this, and the least lately used is connected to anew.
const MAX_CLIENTS: usize = 64;

/// How a Shop reaches Consul.
#[derive(Debug, Clone)]
pub struct Access {
    /// `http://host:port` or `https://host:port`.
    pub address: String,
    /// An ACL token.
    pub token: Option<SecretString>,
    /// Certificates (PEM) that Consul's own must descend from.
    pub authority: Option<Vec<u8>>,
}

/// The clients.
#[derive(Debug, Default)]
pub struct Clients {
    kept: Mutex<HashMap<String, Kept>>,
    away: Mutex<HashMap<String, Away>>,
}

#[derive(Debug)]
struct Kept {
    client: Client,
    used: Instant,
}

#[derive(Debug)]
struct Away {
    until: Instant,
    reason: String,
}

impl Clients {
    /// The client for a way to reach Consul, unless that did not answer a moment ago.
    pub fn client(&self, access: &Access) -> Result<Client, RegistryError> {
        let now = Instant::now();
        self.check(&access.address, now)?;
        let address = access
            .address
            .parse()
            .map_err(|source| RegistryError::Address { address: access.address.clone(), source })?;
        let token = access.token.as_ref().map(|token| token.expose_secret().as_bytes());
        let key = digest(&[
            access.address.as_bytes(),
            token.unwrap_or_default(),
            access.authority.as_deref().unwrap_or_default(),
        ]);
        let mut kept = self.kept.lock();
        if kept.len() >= MAX_CLIENTS && !kept.contains_key(&key) {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.used).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| kept.remove(&oldest));
        }
        let entry = kept.entry(key).or_insert_with(|| Kept {
            client: Client::new(ClientOptions {
                address,
                token: access.token.clone().map_or(Token::Anonymous, Token::Given),
                authority: access.authority.clone().map_or(Authority::System, Authority::Given),
            }),
            used: now,
        });
        entry.used = now;
        Ok(entry.client.clone())
    }

    /// Remembers what came of asking.
    pub fn note<T>(&self, address: &str, answer: &Result<T, RegistryError>) {
        let mut away = self.away.lock();
        match answer {
            Err(error @ RegistryError::Consul(_)) if error.is_outage() => {
                let until = Instant::now() + LEFT_ALONE;
                away.insert(address.to_owned(), Away { until, reason: error.to_string() });
            }
            // It was not asked.
            Err(RegistryError::Away { .. }) => {}
            _ => {
                away.remove(address);
            }
        }
    }

    fn check(&self, address: &str, now: Instant) -> Result<(), RegistryError> {
        let mut away = self.away.lock();
        away.retain(|_, away| away.until + REMEMBERED > now);
        let Some(away) = away.get_mut(address) else { return Ok(()) };
        if away.until > now {
            return Err(RegistryError::Away { reason: away.reason.clone() });
        }
        // Whoever is first finds out for all.
        away.until = now + LEFT_ALONE;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(address: &str, token: &str) -> Access {
        Access { address: address.to_owned(), token: Some(token.to_owned().into()), authority: None }
    }

    fn outage() -> Result<(), RegistryError> {
        let error = shop_consul::Error::TimedOut {
            address: "http://consul:8500".to_owned(),
            request: "GET".to_owned(),
            limit: Duration::from_secs(2),
        };
        Err(RegistryError::Consul(Box::new(error)))
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_answer_is_left_alone_for_a_while_and_no_other() {
        let clients = Clients::default();
        let (hung, well) = (access("http://hung:8500", "a"), access("http://well:8500", "a"));
        clients.client(&hung).unwrap();
        clients.note(&hung.address, &outage());
        clients.client(&well).unwrap();
        for _ in 0..3 {
            let left = clients.client(&hung).unwrap_err();
            assert!(left.is_outage() && left.to_string().contains("did not answer"), "{left}");
            clients.note(&hung.address, &Err::<(), _>(left));
        }
        tokio::time::advance(LEFT_ALONE).await;
        clients.client(&hung).unwrap();
        clients.client(&hung).unwrap_err();
        clients.note(&hung.address, &outage());
        clients.note(&hung.address, &Ok(()));
        clients.client(&hung).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn clients_are_bounded() {
        let clients = Clients::default();
        for number in 0..2 * MAX_CLIENTS {
            clients.client(&access("http://consul:8500", &number.to_string())).unwrap();
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(clients.kept.lock().len(), MAX_CLIENTS);
        assert!(clients.client(&access("consul", "a")).is_err());
    }
}
