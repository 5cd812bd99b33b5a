//! What a load found, for programs and for people.

use std::fmt;

use serde::Serialize;

use super::Operation;

/// Latencies, in milliseconds.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the names say it all")]
pub struct Percentiles {
    pub count: u64,
    pub mean_ms: f64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub p99_9_ms: f64,
    pub max_ms: f64,
}

/// One operation. `intended` = `expected` + `failed` + `dropped`.
#[derive(Debug, Clone, Serialize)]
pub struct OperationReport {
    /// Which.
    pub operation: Operation,
    /// Requests that were due.
    pub intended: u64,
    /// Answered as a shop in order does.
    pub expected: u64,
    /// Answered otherwise, or not at all.
    pub failed: u64,
    /// Not sent in time, and so never.
    pub dropped: u64,
    /// Sent to another gateway because one took no connection.
    pub rerouted: u64,
    /// Sent again under the same idempotency key.
    pub retried: u64,
    /// From the moment a request was due.
    pub latency: Percentiles,
    /// From the moment it was sent. The difference to `latency` is what waiting to send cost.
    pub service: Percentiles,
}

/// How often an operation had an answer.
#[derive(Debug, Clone, Serialize)]
pub struct AnswerCount {
    /// To which operation.
    pub operation: Operation,
    /// HTTP status, 0 where there was no answer.
    pub status: u16,
    /// The problem's code, or why there was no answer.
    pub code: String,
    /// How often.
    pub count: u64,
    /// Whether a shop in order gives it.
    pub expected: bool,
}

/// One second of the load, by when requests ended.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "as in the whole report")]
pub struct Second {
    pub expected: u64,
    pub failed: u64,
    pub dropped: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

/// What was counted so far.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "as in the whole report")]
pub struct Snapshot {
    pub intended: u64,
    pub expected: u64,
    pub failed: u64,
    pub dropped: u64,
    /// The last whole second.
    pub last_second: Option<Second>,
}

impl Snapshot {
    /// Requests that are under way.
    pub fn outstanding(&self) -> u64 {
        self.intended.saturating_sub(self.expected + self.failed + self.dropped)
    }
}

/// The whole of it, warm-up left out.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where it went.
    pub gateways: Vec<String>,
    /// Requests per second over time.
    pub shape: String,
    /// What they were.
    pub mix: String,
    /// From the first request that was due until the last one ended.
    pub seconds: f64,
    /// Requests that were due.
    pub intended: u64,
    /// Answered as a shop in order does.
    pub expected: u64,
    /// Answered otherwise, or not at all.
    pub failed: u64,
    /// Not sent in time, and so never.
    pub dropped: u64,
    /// Sent to another gateway because one took no connection.
    pub rerouted: u64,
    /// Sent again under the same idempotency key.
    pub retried: u64,
    /// From the moment a request was due.
    pub latency: Percentiles,
    /// From the moment it was sent.
    pub service: Percentiles,
    /// How late the generator itself handed requests out. Where this is not far below the latencies, the machine is too
    /// small for the rate.
    pub lag: Percentiles,
    /// By operation.
    pub operations: Vec<OperationReport>,
    /// By operation and answer.
    pub answers: Vec<AnswerCount>,
    /// By second.
    pub timeline: Vec<Second>,
}

impl Report {
    /// Requests that failed or were dropped, as a share of those that were due.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn error_rate(&self) -> f64 {
        if self.intended == 0 { 0.0 } else { (self.failed + self.dropped) as f64 / self.intended as f64 }
    }

    /// The figures of an operation, if there was any request of it.
    pub fn operation(&self, operation: Operation) -> Option<&OperationReport> {
        self.operations.iter().find(|report| report.operation == operation)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let rate = self.expected as f64 / self.seconds.max(f64::EPSILON);
        writeln!(
            f,
            "{} requests were due in {:.1} s: {} as they should be ({rate:.1}/s), {} failed, {} dropped ({:.3} % errors)",
            self.intended,
            self.seconds,
            self.expected,
            self.failed,
            self.dropped,
            self.error_rate() * 100.0
        )?;
        if self.rerouted + self.retried > 0 {
            let Self { rerouted, retried, .. } = self;
            writeln!(f, "{rerouted} went to another gateway, {retried} were sent again under their key")?;
        }
        writeln!(f, "\nlatency in ms, from when a request was due")?;
        writeln!(
            f,
            "{:<14}{:>9}{:>8}{:>8}{:>9}{:>9}{:>9}{:>9}{:>9}",
            "operation", "intended", "failed", "dropped", "p50", "p90", "p99", "p99.9", "max"
        )?;
        for of in &self.operations {
            line(f, of.operation.name(), [of.intended, of.failed, of.dropped], &of.latency)?;
        }
        line(f, "all", [self.intended, self.failed, self.dropped], &self.latency)?;
        writeln!(f, "of which after it was sent: p50 {:.2}, p99 {:.2}", self.service.p50_ms, self.service.p99_ms)?;
        writeln!(f, "the generator itself was late by: p50 {:.2}, p99 {:.2}", self.lag.p50_ms, self.lag.p99_ms)?;
        writeln!(f, "\n{:<14}{:>7}  {:<28}{:>9}", "operation", "status", "code", "count")?;
        for AnswerCount { operation, status, code, count, expected } in &self.answers {
            let status = if *status == 0 { "-".to_owned() } else { status.to_string() };
            let mark = if *expected { "" } else { "  ✗" };
            writeln!(f, "{operation:<14}{status:>7}  {code:<28}{count:>9}{mark}")?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, counts: [u64; 3], latency: &Percentiles) -> fmt::Result {
    let [intended, failed, dropped] = counts;
    let Percentiles { p50_ms, p90_ms, p99_ms, p99_9_ms, max_ms, .. } = latency;
    writeln!(
        f,
        "{name:<14}{intended:>9}{failed:>8}{dropped:>8}{p50_ms:>9.2}{p90_ms:>9.2}{p99_ms:>9.2}{p99_9_ms:>9.2}{max_ms:>9.2}"
    )
}
