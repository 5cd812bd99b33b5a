//! What was measured so far, by operation.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use tokio::time::Instant;

use super::{
    Operation,
    report::{AnswerCount, OperationReport, Percentiles, Second, Snapshot},
};

/// Longest latency that is told from longer ones: beyond any time-out.
const LONGEST: Duration = Duration::from_mins(10);
/// Three significant digits: 0.1 %.
const DIGITS: u8 = 3;
/// Seconds are many, and only looked at.
const DIGITS_OF_A_SECOND: u8 = 2;

/// Latencies in microseconds.
#[derive(Debug, Clone)]
pub(crate) struct Latencies(Histogram<u32>);

impl Latencies {
    pub(crate) fn new() -> Self {
        Self::with_digits(DIGITS)
    }

    fn with_digits(digits: u8) -> Self {
        let longest = u64::try_from(LONGEST.as_micros()).unwrap_or(u64::MAX);
        let made = Histogram::new_with_bounds(1, longest, digits);
        Self(made.unwrap_or_else(|error| unreachable!("constant bounds: {error}")))
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        // They have the same bounds.
        let _ = self.0.add(&other.0);
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        #[expect(clippy::cast_precision_loss, reason = "microseconds of minutes are far below 2^52")]
        let at = |quantile: f64| self.0.value_at_quantile(quantile) as f64 / 1_000.0;
        Percentiles {
            count: self.0.len(),
            mean_ms: self.0.mean() / 1_000.0,
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            p99_9_ms: at(0.999),
            max_ms: at(1.0),
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    pub(crate) operation: Operation,
    /// 0 if there was no answer.
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) kind: EndingKind,
    /// From the moment it was due.
    pub(crate) latency: Duration,
    /// From the moment it was sent, if it was.
    pub(crate) service: Option<Duration>,
    pub(crate) rerouted: u32,
    pub(crate) retried: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndingKind {
    Expected,
    Failed,
    Dropped,
}

#[derive(Debug, Clone)]
struct Tally {
    intended: u64,
    expected: u64,
    failed: u64,
    dropped: u64,
    rerouted: u64,
    retried: u64,
    latency: Latencies,
    service: Latencies,
}

impl Tally {
    fn new() -> Self {
        Self {
            intended: 0,
            expected: 0,
            failed: 0,
            dropped: 0,
            rerouted: 0,
            retried: 0,
            latency: Latencies::new(),
            service: Latencies::new(),
        }
    }
}

/// Everything that is counted once the warm-up is over.
#[derive(Debug)]
pub(crate) struct Measurements {
    begun: Instant,
    tallies: Vec<Tally>,
    answers: BTreeMap<(Operation, u16, String), (u64, bool)>,
    /// How late requests were handed out: the generator's own fault.
    lag: Latencies,
    seconds: Vec<Second>,
    current: CurrentSecond,
}

#[derive(Debug)]
struct CurrentSecond {
    expected: u64,
    failed: u64,
    dropped: u64,
    latency: Latencies,
}

impl CurrentSecond {
    fn new() -> Self {
        Self { expected: 0, failed: 0, dropped: 0, latency: Latencies::with_digits(DIGITS_OF_A_SECOND) }
    }
}

impl Measurements {
    pub(crate) fn new(begun: Instant) -> Self {
        Self {
            begun,
            tallies: Operation::ALL.map(|_| Tally::new()).to_vec(),
            answers: BTreeMap::new(),
            lag: Latencies::new(),
            seconds: Vec::new(),
            current: CurrentSecond::new(),
        }
    }

    pub(crate) fn intended(&mut self, operation: Operation, lag: Duration) {
        self.tallies[operation.index()].intended += 1;
        self.lag.record(lag);
    }

    pub(crate) fn ended(&mut self, ending: Ending) {
        self.roll_over();
        let Ending { operation, status, code, kind, latency, service, rerouted, retried } = ending;
        let tally = &mut self.tallies[operation.index()];
        tally.rerouted += u64::from(rerouted);
        tally.retried += u64::from(retried);
        let (total, second) = match kind {
            EndingKind::Expected => (&mut tally.expected, &mut self.current.expected),
            EndingKind::Failed => (&mut tally.failed, &mut self.current.failed),
            EndingKind::Dropped => (&mut tally.dropped, &mut self.current.dropped),
        };
        *total += 1;
        *second += 1;
        let answers = self.answers.entry((operation, status, code)).or_insert((0, kind == EndingKind::Expected));
        answers.0 += 1;
        // What was never sent has no end; it is counted, and not among the latencies.
        if kind != EndingKind::Dropped {
            tally.latency.record(latency);
            self.current.latency.record(latency);
        }
        if let Some(service) = service {
            tally.service.record(service);
        }
    }

    pub(crate) fn snapshot(&mut self) -> Snapshot {
        self.roll_over();
        let sum = |count: fn(&Tally) -> u64| self.tallies.iter().map(count).sum();
        Snapshot {
            intended: sum(|tally| tally.intended),
            expected: sum(|tally| tally.expected),
            failed: sum(|tally| tally.failed),
            dropped: sum(|tally| tally.dropped),
            last_second: self.seconds.last().cloned(),
        }
    }

    /// Closes the seconds that have passed.
    fn roll_over(&mut self) {
        let now = self.begun.elapsed().as_secs();
        while u64::try_from(self.seconds.len()).unwrap_or(u64::MAX) < now {
            let CurrentSecond { expected, failed, dropped, latency } =
                std::mem::replace(&mut self.current, CurrentSecond::new());
            let Percentiles { p50_ms, p99_ms, max_ms, .. } = latency.percentiles();
            self.seconds.push(Second { expected, failed, dropped, p50_ms, p99_ms, max_ms });
        }
    }

    pub(crate) fn operations(&self) -> Vec<OperationReport> {
        let seen = Operation::ALL.into_iter().map(|operation| (operation, &self.tallies[operation.index()]));
        let seen = seen.filter(|(_, tally)| tally.intended > 0);
        seen.map(|(operation, tally)| OperationReport {
            operation,
            intended: tally.intended,
            expected: tally.expected,
            failed: tally.failed,
            dropped: tally.dropped,
            rerouted: tally.rerouted,
            retried: tally.retried,
            latency: tally.latency.percentiles(),
            service: tally.service.percentiles(),
        })
        .collect()
    }

    pub(crate) fn answers(&self) -> Vec<AnswerCount> {
        let counts = self.answers.iter().map(|((operation, status, code), (count, expected))| AnswerCount {
            operation: *operation,
            status: *status,
            code: code.clone(),
            count: *count,
            expected: *expected,
        });
        counts.collect()
    }

    /// Of all operations: latency, service time, and the generator's lag.
    pub(crate) fn overall(&self) -> [Percentiles; 3] {
        let (mut latency, mut service) = (Latencies::new(), Latencies::new());
        for tally in &self.tallies {
            latency.add(&tally.latency);
            service.add(&tally.service);
        }
        [latency.percentiles(), service.percentiles(), self.lag.percentiles()]
    }

    pub(crate) fn seconds(&mut self) -> Vec<Second> {
        self.roll_over();
        self.seconds.clone()
    }
}
