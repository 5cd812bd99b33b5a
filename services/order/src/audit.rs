//! Reads an order database and says where it does not add up. It changes nothing and may run beside a serving process, on
//! a connection of [`shop_storage::open_reader`].
//!
//! Whether product's reservations fit the orders is for a reader of both databases to say: [`orders`] lists them for
//! that, a page at a time.

use std::time::Duration;

use sea_orm::DatabaseConnection;
use shop_storage::StorageError;
use shop_types::{Instant, Uuid};

use crate::{
    app::{EVENTS_KEPT, LONGEST_PAUSE},
    domain::{Status, Step},
    store::{
        audit::{self, Audited, AuditedSaga},
        keys,
    },
};

/// Findings of one kind that are kept: a reader wants to know that there are many, not all of them.
const MAX_FINDINGS: usize = 100;
/// Orders of a page at most, so that one fits in memory and in one statement's parameters.
pub const MAX_PAGE: u64 = 500;
/// What a worker may be late by: its pause, and a machine that has other things to do.
const SLACK: Duration = Duration::from_secs(5);

/// How the shop runs.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// `--lease`.
    pub lease: Duration,
    /// Whether there is an `--event-sink`. Without one, unsent events are no finding.
    pub relayed: bool,
}

/// One order that does not add up, or does not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The order.
    pub order_id: Uuid,
    /// What is wrong, as a sentence.
    pub detail: String,
    /// Whether it is being worked on and no longer than a lease and a pause take. What is not is a violation.
    pub in_flight: bool,
}

/// Where the orders do not add up; each kind is cut off at a hundred.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Orders that were looked at.
    pub examined: u64,
    /// Money received, refunded and due that does not fit the status.
    pub payments: Vec<Finding>,
    /// Histories that do not lead to the order as it is.
    pub history: Vec<Finding>,
    /// Versions without an event, and events that wait for too long.
    pub outbox: Vec<Finding>,
    /// Keys that lead to another's order, and young orders without one.
    pub idempotency: Vec<Finding>,
    /// Sagas with an outstanding step.
    pub sagas: Vec<Finding>,
}

impl Findings {
    /// Every finding.
    pub fn all(&self) -> impl Iterator<Item = &Finding> {
        let Self { examined: _, payments, history, outbox, idempotency, sagas } = self;
        [payments, history, outbox, idempotency, sagas].into_iter().flatten()
    }

    /// Whether nothing is wrong; what is in flight is not.
    pub fn is_clean(&self) -> bool {
        self.all().all(|finding| finding.in_flight)
    }
}

/// An order, for comparison with its reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRecord {
    /// The order.
    pub id: Uuid,
    /// Where it is.
    pub status: Status,
    /// Product and pieces.
    pub lines: Vec<(Uuid, i64)>,
    /// The step that is outstanding: until it is done, the reservation may lag.
    pub step: Option<Step>,
    /// When it changed last.
    pub updated_at: Instant,
}

/// At most [`MAX_PAGE`] orders after an id, in id order. A page shorter than `limit` is the last.
pub async fn orders(
    connection: &DatabaseConnection,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<OrderRecord>, StorageError> {
    let (_, page) = audit::page(connection, after, limit.min(MAX_PAGE)).await?;
    let records = page.into_iter().map(|order| OrderRecord {
        step: order.saga.as_ref().and_then(|saga| saga.outstanding).map(|(step, ..)| step),
        id: order.id,
        status: order.status,
        lines: order.lines,
        updated_at: order.updated_at,
    });
    Ok(records.collect())
}

/// Looks at every order.
pub async fn check(connection: &DatabaseConnection, settings: Settings) -> Result<Findings, StorageError> {
    let mut findings = Findings::default();
    let mut after = None;
    loop {
        let (now, page) = audit::page(connection, after, MAX_PAGE).await?;
        for order in &page {
            let look = Look { order, now, settings };
            findings.examined += 1;
            look.payments(&mut findings.payments);
            look.history(&mut findings.history);
            look.outbox(&mut findings.outbox);
            look.idempotency(&mut findings.idempotency);
            look.saga(&mut findings.sagas);
        }
        match page.last() {
            Some(last) if page.len() as u64 == MAX_PAGE => after = Some(last.id),
            _ => return Ok(findings),
        }
    }
}

/// One order under the glass.
struct Look<'o> {
    order: &'o Audited,
    now: Instant,
    settings: Settings,
}

impl Look<'_> {
    fn find(&self, kind: &mut Vec<Finding>, in_flight: bool, detail: String) {
        if kind.len() < MAX_FINDINGS {
            kind.push(Finding { order_id: self.order.id, detail, in_flight });
        }
    }

    /// received − refunded = the total while paid, shipped or delivered, else 0, plus what is due.
    fn payments(&self, kind: &mut Vec<Finding>) {
        let status = self.order.status;
        let price = self.order.total.as_ref().filter(|_| status.keeps_payment());
        for (currency, money) in &self.order.money {
            let kept = price.map_or(0, |(amount, of)| if of == currency { i128::from(*amount) } else { 0 });
            if money.received - money.refunded != kept + money.due {
                let detail = format!(
                    "{status}: {} received, {} refunded, {kept} kept and {} due in {currency} do not add up",
                    money.received, money.refunded, money.due
                );
                self.find(kind, false, detail);
            }
        }
        let unpaid = price.filter(|(amount, currency)| *amount > 0 && !self.order.money.contains_key(currency));
        if unpaid.is_some() {
            self.find(kind, false, format!("{status} without a payment"));
        }
    }

    /// Versions 1, 2, … without a gap, each from where the one before led, the last to the order as it is.
    fn history(&self, kind: &mut Vec<Finding>) {
        let mut last = None;
        for (expected, (version, from, to, _)) in (1..).zip(&self.order.history) {
            if *version != expected || *from != last {
                self.find(kind, false, format!("the history breaks at version {expected}"));
                return;
            }
            last = Some(*to);
        }
        let versions = i64::try_from(self.order.history.len()).unwrap_or(i64::MAX);
        if versions != self.order.version || last != Some(self.order.status) {
            let detail = format!(
                "{} at version {}, but its history ends {} at version {versions}",
                self.order.status,
                self.order.version,
                last.map_or("nowhere", Status::as_str)
            );
            self.find(kind, false, detail);
        }
    }

    /// Every version has its event, until events of its age are forgotten.
    fn outbox(&self, kind: &mut Vec<Finding>) {
        for (version, _, _, at) in &self.order.history {
            let age = self.now.since(*at);
            match self.order.events.get(version) {
                None if age + SLACK < EVENTS_KEPT => {
                    self.find(kind, false, format!("version {version} has no event"));
                }
                Some(false) if self.settings.relayed => {
                    let in_flight = age <= self.settings.lease + LONGEST_PAUSE + SLACK;
                    let detail = format!("the event of version {version} is unsent for {} s", age.as_secs());
                    self.find(kind, in_flight, detail);
                }
                _ => {}
            }
        }
    }

    /// A key leads to an order of its own user; an order has one until keys of its age are forgotten.
    fn idempotency(&self, kind: &mut Vec<Finding>) {
        if self.order.keys.iter().any(|user_id| *user_id != self.order.user_id) {
            self.find(kind, false, "another user's key leads to it".to_owned());
        }
        let young = self.now.since(self.order.created_at) + SLACK < keys::KEPT;
        match self.order.keys.len() {
            0 if young => self.find(kind, false, "it has no idempotency key".to_owned()),
            0 | 1 => {}
            count => self.find(kind, false, format!("{count} keys lead to it")),
        }
    }

    /// A pending order has a step, and no step is outstanding for longer than a lease and a pause.
    fn saga(&self, kind: &mut Vec<Finding>) {
        let status = self.order.status;
        match self.order.saga {
            None => self.find(kind, false, format!("{status} without a saga")),
            Some(AuditedSaga { outstanding: None }) => {
                if status == Status::Pending {
                    self.find(kind, false, "pending with its saga at rest".to_owned());
                }
            }
            Some(AuditedSaga { outstanding: Some((step, since, due_at)) }) => {
                let lease = self.settings.lease;
                let age = self.now.since(since);
                let in_flight = age <= lease + LONGEST_PAUSE + SLACK && self.now.since(due_at) <= lease + SLACK;
                self.find(kind, in_flight, format!("{status}: {step} is outstanding for {} s", age.as_secs()));
            }
        }
    }
}
