//! What the audit found, by invariant, for people and for programs.

use std::io::{self, Write as _};

use serde::Serialize;
use shop_order::audit::Finding as OrderFinding;
use shop_product::audit::{LedgerFinding, StockFinding};

use crate::cli::Output;

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Invariant {
    /// `on_hand = available + reserved`, `on_hand` is the sum of its ledger, `reserved` the sum of what is held.
    StockLedger,
    /// Each order has the reservation that its status asks for, and each reservation its order.
    Reservations,
    /// Received less refunded is the total of what was sold, and the rest is due.
    Payments,
    /// Every version of an order is in its history.
    History,
    /// Every version has its event, sent in time where there is a sink.
    Outbox,
    /// Each key leads to one order of its own user.
    Idempotency,
    /// No step is outstanding for longer than a lease.
    Sagas,
}

impl Invariant {
    const ALL: [Self; 7] = [
        Self::StockLedger,
        Self::Reservations,
        Self::Payments,
        Self::History,
        Self::Outbox,
        Self::Idempotency,
        Self::Sagas,
    ];

    const fn title(self) -> &'static str {
        match self {
            Self::StockLedger => "stock ledger",
            Self::Reservations => "reservations against orders",
            Self::Payments => "payments against orders",
            Self::History => "order history",
            Self::Outbox => "outbox",
            Self::Idempotency => "idempotency",
            Self::Sagas => "sagas",
        }
    }
}

/// One thing that does not add up, or does not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Where and what, as a sentence.
    pub(crate) detail: String,
    /// Whether it is being worked on, and not for too long.
    pub(crate) in_flight: bool,
}

/// All findings.
pub(crate) struct Report {
    orders: u64,
    findings: Vec<(Invariant, Finding)>,
}

#[derive(Serialize)]
struct Document<'a> {
    orders: u64,
    violations: usize,
    in_flight: usize,
    invariants: Vec<Section<'a>>,
}

#[derive(Serialize)]
struct Section<'a> {
    invariant: Invariant,
    violations: Vec<&'a str>,
    in_flight: Vec<&'a str>,
}

impl Report {
    pub(crate) fn new(orders: u64) -> Self {
        Self { orders, findings: Vec::new() }
    }

    pub(crate) fn add(&mut self, invariant: Invariant, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings.into_iter().map(|finding| (invariant, finding)));
    }

    /// Whether nothing is wrong; what is in flight is not.
    pub(crate) fn is_clean(&self) -> bool {
        self.findings.iter().all(|(_, finding)| finding.in_flight)
    }

    pub(crate) fn print(&self, output: Output) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        match output {
            Output::Json => {
                serde_json::to_writer(&mut stdout, &self.document())?;
                writeln!(stdout)?;
            }
            Output::Text => self.write_text(&mut stdout)?,
        }
        stdout.flush()
    }

    fn document(&self) -> Document<'_> {
        let invariants: Vec<Section<'_>> = Invariant::ALL.iter().map(|invariant| self.section(*invariant)).collect();
        Document {
            orders: self.orders,
            violations: invariants.iter().map(|section| section.violations.len()).sum(),
            in_flight: invariants.iter().map(|section| section.in_flight.len()).sum(),
            invariants,
        }
    }

    fn section(&self, invariant: Invariant) -> Section<'_> {
        let of = |in_flight: bool| {
            let wanted =
                self.findings.iter().filter(move |(of, finding)| *of == invariant && finding.in_flight == in_flight);
            wanted.map(|(_, finding)| finding.detail.as_str()).collect()
        };
        Section { invariant, violations: of(false), in_flight: of(true) }
    }

    fn write_text(&self, to: &mut impl io::Write) -> io::Result<()> {
        writeln!(to, "{} orders", self.orders)?;
        for invariant in Invariant::ALL {
            let section = self.section(invariant);
            let verdict = match (section.violations.len(), section.in_flight.len()) {
                (0, 0) => "ok".to_owned(),
                (0, in_flight) => format!("ok, {in_flight} in flight"),
                (violations, 0) => format!("{violations} VIOLATIONS"),
                (violations, in_flight) => format!("{violations} VIOLATIONS, {in_flight} in flight"),
            };
            writeln!(to, "{:<30}{verdict}", invariant.title())?;
            for detail in section.violations {
                writeln!(to, "    violation: {detail}")?;
            }
            for detail in section.in_flight {
                writeln!(to, "    in flight: {detail}")?;
            }
        }
        Ok(())
    }
}

pub(crate) fn order_finding(found: &OrderFinding) -> Finding {
    Finding { detail: format!("order {}: {}", found.order_id, found.detail), in_flight: found.in_flight }
}

/// Stock never is in flight: what changes it changes all of it in one transaction.
pub(crate) fn stock_finding(found: &StockFinding) -> Finding {
    let StockFinding { product_id, on_hand, available, reserved, ledger, held } = found;
    Finding {
        detail: format!(
            "product {product_id}: on_hand {on_hand} (ledger {ledger}), available {available}, reserved {reserved} (held {held})"
        ),
        in_flight: false,
    }
}

pub(crate) fn ledger_finding(found: &LedgerFinding) -> Finding {
    let LedgerFinding { order_id, product_id, state, expected, found } = found;
    Finding {
        detail: format!(
            "reservation of order {order_id} is {state:?}, but changed product {product_id} by {found} instead of {expected}"
        ),
        in_flight: false,
    }
}
