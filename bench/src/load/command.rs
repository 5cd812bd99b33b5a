//! The command line of `load`.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    str::FromStr,
    time::Duration,
};

use clap::Parser;
use secrecy::SecretString;
use shop_types::parse_duration;
use tokio::time::{MissedTickBehavior, interval_at};

use super::{Arrivals, Credentials, KeyedRetry, Load, Mix, Operation, Plan, Report, Shape, Snapshot};

/// The load was carried out and missed a threshold.
const MISSED: u8 = 1;
/// The load could not be carried out.
const UNUSABLE: u8 = 2;

/// Puts a load on a shop and says how it bore it.
///
/// Requests go out when they are due, whether or not earlier ones were answered, and latency counts from that moment.
/// Exits 0 if every threshold holds, 1 if one does not, 2 if the load could not be put on, 64 if the command is wrong.
///
/// Beforehand it makes customers (shopper-0@load.example and so on) and, with staff, adds stock.
#[derive(Debug, Parser)]
#[command(name = "load", version)]
pub struct LoadCommand {
    /// Base URLs of the gateways; requests go to each in turn.
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8080")]
    gateways: Vec<String>,
    /// Requests a second, for --duration.
    #[arg(long, value_name = "RATE", default_value_t = 50.0, conflicts_with = "shape")]
    rate: f64,
    /// How long, at --rate.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration, conflicts_with = "shape")]
    duration: Duration,
    /// Requests a second over time, instead: stages, ramps and spikes, such as 30s@100,10s@100..500,5s@2000,30s@100.
    #[arg(long, value_name = "STAGES")]
    shape: Option<Shape>,
    /// How requests are spread within that.
    #[arg(long, default_value = "poisson")]
    arrivals: Arrivals,
    /// Weights of list, page, product, availability, search, filter, sign-in, order, pay, cancel and orders, such as
    /// product=80,order=20. By default a day in a shop; payments only with staff.
    #[arg(long, value_name = "OPERATION=WEIGHT,…")]
    mix: Option<Mix>,
    /// Time at the first rate before anything counts.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = parse_duration)]
    warm_up: Duration,
    /// HTTP/2 without TLS instead of HTTP/1.1.
    #[arg(long)]
    http2: bool,
    /// Connections to each gateway, at most.
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    connections: usize,
    /// Requests under way, at most; more are dropped.
    #[arg(long, value_name = "COUNT", default_value_t = 1_024)]
    outstanding: usize,
    /// How late a request may be sent; then it is dropped.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    send_within: Duration,
    /// How long an answer may take.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = parse_duration)]
    timeout: Duration,
    /// Customers that sign in and order. Gateways limit what each may ask, 50 requests a second unless configured.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    shoppers: usize,
    /// Send X-Forwarded-For with so many addresses, to a gateway that trusts this machine as a proxy; 0 sends none.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    addresses: u16,
    /// E-mail of a member of staff, who records payments and adds stock.
    #[arg(long, env = "SHOP_STAFF_EMAIL", value_name = "EMAIL", requires = "staff_password")]
    staff_email: Option<String>,
    /// Their password.
    #[arg(
        long,
        env = "SHOP_STAFF_PASSWORD",
        hide_env_values = true,
        value_name = "PASSWORD",
        requires = "staff_email"
    )]
    staff_password: Option<SecretString>,
    /// When to send an order again under the same key.
    #[arg(long, default_value = "never")]
    keyed_retry: KeyedRetry,
    /// The same seed makes the same visitors.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threshold: the share of requests that may fail or be dropped, 0 to 1.
    #[arg(long, value_name = "SHARE")]
    max_error_rate: Option<f64>,
    /// Threshold: the 99th percentile of the latency, of all (250ms) or of one operation (order=500ms). May be repeated.
    #[arg(long, value_name = "[OPERATION=]DURATION")]
    p99: Vec<Bound>,
    /// Write the report as JSON to this file, `-` for standard output instead of the table.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// No progress lines.
    #[arg(long)]
    quiet: bool,
}

/// A latency that is not to be exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bound {
    /// None: all of them together.
    operation: Option<Operation>,
    longest: Duration,
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (operation, longest) = match text.split_once('=') {
            Some((operation, longest)) => (Some(operation.parse()?), longest),
            None => (None, text),
        };
        Ok(Self { operation, longest: parse_duration(longest)? })
    }
}

impl LoadCommand {
    /// Does it.
    pub fn run(self) -> ExitCode {
        let outcome = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(anyhow::Error::from);
        match outcome.and_then(|runtime| runtime.block_on(self.carry_out())) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(MISSED),
            Err(error) => {
                // Nothing is left to do when stderr is gone.
                let _ = writeln!(io::stderr(), "error: {error:#}");
                ExitCode::from(UNUSABLE)
            }
        }
    }

    /// Whether every threshold holds.
    async fn carry_out(self) -> anyhow::Result<bool> {
        let report = self.load().await?;
        match &self.json {
            Some(path) if path.as_os_str() == "-" => {
                serde_json::to_writer(io::stdout(), &report)?;
                writeln!(io::stdout())?;
            }
            Some(path) => {
                fs::write(path, serde_json::to_vec_pretty(&report)?)?;
                write!(io::stdout(), "{report}")?;
            }
            None => write!(io::stdout(), "{report}")?,
        }
        let missed = self.missed(&report);
        for threshold in &missed {
            writeln!(io::stderr(), "missed: {threshold}")?;
        }
        Ok(missed.is_empty())
    }

    async fn load(&self) -> anyhow::Result<Report> {
        self.say("Preparing customers and stock …")?;
        let plan = self.plan();
        let end = plan.shape.duration();
        let load = Load::start(plan).await?;
        let mut passed = Duration::ZERO;
        let second = Duration::from_secs(1);
        // A little after the whole second, which is over by then.
        let first = tokio::time::Instant::now() + second + Duration::from_millis(10);
        let mut ticks = interval_at(first, second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while passed < end {
            tokio::select! {
                _ = ticks.tick() => passed += second,
                _ = tokio::signal::ctrl_c() => {
                    self.say("Stopping: waiting for what is under way …")?;
                    return Ok(load.finish().await?);
                }
            }
            self.say(&progress(passed, &load.so_far()))?;
        }
        Ok(load.join().await?)
    }

    fn plan(&self) -> Plan {
        let shape = self.shape.clone().unwrap_or_else(|| Shape::constant(self.rate, self.duration));
        let staff = self.staff_email.clone().zip(self.staff_password.clone());
        let staff = staff.map(|(email, password)| Credentials { email, password });
        let usual = if staff.is_some() { Mix::default() } else { Mix::default().without(Operation::Pay) };
        Plan {
            arrivals: self.arrivals,
            mix: self.mix.clone().unwrap_or(usual),
            warm_up: self.warm_up,
            http2: self.http2,
            connections: self.connections,
            outstanding: self.outstanding,
            send_within: self.send_within,
            timeout: self.timeout,
            shoppers: self.shoppers,
            staff,
            keyed_retry: self.keyed_retry,
            addresses: self.addresses,
            seed: self.seed,
            ..Plan::new(self.gateways.clone(), shape)
        }
    }

    fn say(&self, line: &str) -> io::Result<()> {
        if self.quiet { Ok(()) } else { writeln!(io::stderr(), "{line}") }
    }

    /// The thresholds that do not hold, each with what was found.
    fn missed(&self, report: &Report) -> Vec<String> {
        let mut missed = Vec::new();
        if let Some(most) = self.max_error_rate.filter(|most| report.error_rate() > *most) {
            missed.push(format!("error rate {:.5}, allowed {most}", report.error_rate()));
        }
        for Bound { operation, longest } in &self.p99 {
            let found = match operation {
                Some(operation) => report.operation(*operation).map(|of| of.latency.p99_ms),
                None => Some(report.latency.p99_ms),
            };
            let name = operation.map_or("all", Operation::name);
            match found {
                Some(p99) if p99 <= longest.as_secs_f64() * 1_000.0 => {}
                Some(p99) => missed.push(format!("p99 of {name} {p99:.2} ms, allowed {longest:?}")),
                None => missed.push(format!("p99 of {name}: there was no such request")),
            }
        }
        missed
    }
}

fn progress(passed: Duration, so_far: &Snapshot) -> String {
    let Snapshot { intended, failed, dropped, last_second, .. } = so_far;
    let passed = passed.as_secs();
    let Some(second) = last_second else { return format!("{passed:>4} s") };
    format!(
        "{passed:>4} s  {:>6}/s as they should be  p50 {:>8.2} ms  p99 {:>8.2} ms  under way {:>5}   in all: due {intended}, failed {failed}, dropped {dropped}",
        second.expected,
        second.p50_ms,
        second.p99_ms,
        so_far.outstanding(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_of_all_or_of_one_operation() {
        let bound = |operation| Bound { operation, longest: Duration::from_millis(250) };
        assert_eq!("250ms".parse(), Ok(bound(None)));
        assert_eq!("sign-in=250ms".parse(), Ok(bound(Some(Operation::SignIn))));
        assert!("dance=250ms".parse::<Bound>().is_err());
    }
}
