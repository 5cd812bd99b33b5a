//! What a client asks of the API server.

use http::{Method, request::Parts};
use serde_json::Value;
use tokio::time::Instant;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Reads once.
    Read,
    /// Reads what changes, for as long as the answer goes on.
    Watch,
    /// Changes something.
    Write,
}

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// When.
    pub at: Instant,
    /// What for.
    pub verb: Verb,
    /// How.
    pub method: Method,
    /// The kind of objects, in the plural: `deployments`.
    pub resource: String,
    /// The object's namespace, unless it is about all of them.
    pub namespace: Option<String>,
    /// The object's name, unless it is about several.
    pub name: Option<String>,
    /// The part of it that this is about: `status`.
    pub part: Option<String>,
    /// What follows the question mark.
    pub query: String,
    /// What is sent; null if that is nothing.
    pub body: Value,
}

impl Asked {
    pub(crate) fn of(parts: &Parts, body: &[u8]) -> Self {
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let watches = query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1" | "watch"));
        let verb = match parts.method {
            Method::GET if watches => Verb::Watch,
            Method::GET | Method::HEAD => Verb::Read,
            _ => Verb::Write,
        };
        // /api/v1/…, or /apis/<group>/<version>/…
        let words: Vec<_> = parts.uri.path().split('/').filter(|word| !word.is_empty()).collect();
        let words = words.get(if words.first() == Some(&"apis") { 3 } else { 2 }..).unwrap_or_default();
        let (namespace, words) = match words {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            _ => (None, words),
        };
        let word = |index: usize| words.get(index).map(|word| (*word).to_owned());
        Self {
            at: Instant::now(),
            verb,
            method: parts.method.clone(),
            resource: word(0).unwrap_or_default(),
            namespace: namespace.map(str::to_owned),
            name: word(1),
            part: word(2),
            query,
            body: serde_json::from_slice(body).unwrap_or(Value::Null),
        }
    }

    /// Whether it changes anything but a lease or an event, which come and go by themselves.
    pub fn is_change(&self) -> bool {
        self.verb == Verb::Write && !matches!(self.resource.as_str(), "leases" | "events")
    }
}
