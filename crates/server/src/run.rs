//! One process from its options to its exit code.

use std::{
    future::Future,
    io::Write as _,
    process::{self, ExitCode},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};

use crate::{
    exit::{EX_DATAERR, Lasting},
    running::Running,
    shutdown::{LeftEarly, Shutdown},
    telemetry::{self, TelemetryOptions},
};

/// Threads for blocking work (files, password hashing): each is a stack and may hold a core. More work waits.
const MAX_BLOCKING_THREADS: usize = 64;
/// What is left of blocking work when the process is done is abandoned after this long.
const RUNTIME_BOUND: Duration = Duration::from_secs(1);
/// What a shell reports for a process that a signal ended: 128 and the signal's number.
const SIGNAL_EXIT_BASE: i32 = 128;

/// Runs a process: runtime, TLS provider, telemetry and signals around `body`. SIGTERM or SIGINT begins the shutdown, a second
/// one exits at once. An error becomes one line on stderr with its chain, and exit code 1, or 65 if it is [`Lasting`].
pub fn run<F, Fut>(name: &'static str, telemetry: TelemetryOptions, body: F) -> ExitCode
where
    F: FnOnce(Shutdown) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    // It fails only when one is installed already, which serves as well.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let finished = runtime(name).and_then(|runtime| {
        let finished = runtime.block_on(async {
            let telemetry = telemetry::install(name, telemetry)?;
            telemetry::log_panics();
            let shutdown = Shutdown::new();
            watch_signals(shutdown.clone())?;
            let finished = body(shutdown).await;
            telemetry.flush().await;
            finished
        });
        runtime.shutdown_timeout(RUNTIME_BOUND);
        finished
    });
    match finished {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<LeftEarly>() => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do when stderr is gone.
            let _ = writeln!(std::io::stderr(), "error: {}", one_line(&error));
            if error.is::<Lasting>() { ExitCode::from(EX_DATAERR) } else { ExitCode::FAILURE }
        }
    }
}

/// The body of a process that is one server: starts it, and stays until it has left.
pub async fn serve(start: impl Future<Output = anyhow::Result<Running>>) -> anyhow::Result<()> {
    start.await?.join().await.context("the server failed")
}

fn runtime(name: &'static str) -> anyhow::Result<Runtime> {
    Ok(Builder::new_multi_thread().enable_all().thread_name(name).max_blocking_threads(MAX_BLOCKING_THREADS).build()?)
}

/// The error and what caused it, outermost first, on one line.
fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

fn watch_signals(shutdown: Shutdown) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            let received = tokio::select! {
                _ = terminate.recv() => SignalKind::terminate(),
                _ = interrupt.recv() => SignalKind::interrupt(),
            };
            let number = received.as_raw_value();
            if shutdown.is_begun() {
                tracing::warn!(signal.number = number, "a second signal: exiting at once");
                process::exit(SIGNAL_EXIT_BASE + number);
            }
            tracing::info!(signal.number = number, "asked to leave");
            shutdown.begin();
        }
    });
    Ok(())
}
