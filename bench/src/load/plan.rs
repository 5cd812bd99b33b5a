//! What is to be put on a shop: where, how much, of what, and within which bounds.

use std::time::Duration;

use http::Uri;
use secrecy::SecretString;

use super::{Arrivals, LoadError, Mix, Operation, Shape};

/// Someone who can sign in.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The e-mail of the account.
    pub email: String,
    /// Its password.
    pub password: SecretString,
}

/// Whether an order that is not known to be placed is sent again with the same key, as docs/API.md tells clients to.
/// Everything else is sent once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum KeyedRetry {
    /// Every order is sent once.
    Never,
    /// When its connection died, or no answer came in time.
    Unanswered,
    /// Also when the answer is 503, which leaves open whether it was placed.
    Unsettled,
}

/// A load. Everything beyond [`Plan::new`] has a default and may be set:
///
/// ```text
/// let plan = Plan { mix: Mix::browsing(), ..Plan::new([gateway], Shape::constant(200.0, Duration::from_secs(30))) };
/// let load = Load::start(plan).await?;
/// // disturb the shop …
/// let report = load.finish().await?;
/// assert_eq!(report.failed + report.dropped, 0, "{report}");
/// ```
#[derive(Debug, Clone)]
pub struct Plan {
    /// Base URLs, `http://host:port`. Requests go to each in turn; one whose gateway takes no connection goes to the next.
    pub gateways: Vec<String>,
    /// The host that requests are for, if that is not where they go: that of an Ingress.
    pub host: Option<String>,
    /// Requests per second over time.
    pub shape: Shape,
    /// How they are spread within it.
    pub arrivals: Arrivals,
    /// What they are.
    pub mix: Mix,
    /// Time at the first rate before anything counts.
    pub warm_up: Duration,
    /// HTTP/2 without TLS (prior knowledge) instead of HTTP/1.1.
    pub http2: bool,
    /// Connections to each gateway, at most.
    pub connections: usize,
    /// Requests begun and not ended, at most; one that is due beyond that is dropped.
    pub outstanding: usize,
    /// How long after it was due a request may still be sent; then it is dropped.
    pub send_within: Duration,
    /// How long an answer may take once the request was sent.
    pub timeout: Duration,
    /// Customers that sign in and order, made beforehand.
    pub shoppers: usize,
    /// Who records payments and sees to the stock; without it the mix must not pay.
    pub staff: Option<Credentials>,
    /// Whether orders are sent again.
    pub keyed_retry: KeyedRetry,
    /// If not 0: requests come by `X-Forwarded-For` from so many addresses, for a gateway that trusts this machine.
    pub addresses: u16,
    /// Decides arrivals, operations and choices: the same seed makes the same visitors.
    pub seed: u64,
}

impl Plan {
    /// The default mix, less payments since nobody is there to record them.
    pub fn new(gateways: impl IntoIterator<Item = impl Into<String>>, shape: Shape) -> Self {
        Self {
            gateways: gateways.into_iter().map(Into::into).collect(),
            host: None,
            shape,
            arrivals: Arrivals::Poisson,
            mix: Mix::default().without(Operation::Pay),
            warm_up: Duration::from_secs(2),
            http2: false,
            connections: 64,
            outstanding: 1_024,
            send_within: Duration::from_secs(1),
            timeout: Duration::from_secs(15),
            shoppers: 20,
            staff: None,
            keyed_retry: KeyedRetry::Never,
            addresses: 0,
            seed: 1,
        }
    }

    /// With someone to record payments, and the default mix whole.
    #[must_use]
    pub fn with_staff(mut self, email: impl Into<String>, password: impl Into<String>) -> Self {
        self.staff = Some(Credentials { email: email.into(), password: SecretString::from(password.into()) });
        self.mix = Mix::default();
        self
    }

    /// The gateways' addresses, if all of the plan makes sense.
    pub(crate) fn check(&self) -> Result<Vec<Uri>, LoadError> {
        self.shape.check().map_err(LoadError::Plan)?;
        self.mix.check().map_err(LoadError::Plan)?;
        let refuse = |message: &str| Err(LoadError::Plan(message.to_owned()));
        if self.gateways.is_empty() {
            return refuse("no gateway is named");
        }
        if self.connections == 0 || self.outstanding == 0 || self.shoppers == 0 {
            return refuse("connections, outstanding requests and shoppers must be at least 1");
        }
        if self.mix.has(Operation::Pay) && self.staff.is_none() {
            return refuse("the mix records payments, which takes a member of staff: name one, or leave out `pay`");
        }
        self.gateways.iter().map(|gateway| base(gateway)).collect()
    }
}

fn base(gateway: &str) -> Result<Uri, LoadError> {
    let uri: Option<Uri> = gateway.parse().ok();
    uri.filter(|uri| uri.scheme_str() == Some("http") && uri.authority().is_some() && matches!(uri.path(), "" | "/"))
        .ok_or_else(|| LoadError::Plan(format!("{gateway:?} is no gateway: expected http://host:port")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan::new(["http://127.0.0.1:8080"], Shape::constant(10.0, Duration::from_secs(1)))
    }

    #[test]
    fn a_plan_that_contradicts_itself_is_refused() {
        plan().check().unwrap();
        let refused: [fn(&mut Plan); 8] = [
            |plan| plan.gateways.clear(),
            |plan| plan.gateways.push("https://shop.example".to_owned()),
            |plan| plan.gateways.push("http://shop.example/api".to_owned()),
            |plan| plan.gateways.push("shop.example:80".to_owned()),
            |plan| plan.mix = Mix::of([]),
            |plan| plan.mix = Mix::default(),
            |plan| plan.outstanding = 0,
            |plan| plan.shape = Shape::constant(0.0, Duration::from_secs(1)),
        ];
        for (index, change) in refused.into_iter().enumerate() {
            let mut changed = plan();
            change(&mut changed);
            assert!(changed.check().is_err(), "case {index}");
        }
        plan().with_staff("ada@example.com", "secret").check().unwrap();
    }
}
