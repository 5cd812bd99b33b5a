//! Crash tests: the process kills itself at a named point, as a power cut would.

use std::sync::atomic::{AtomicU64, Ordering};

/// Reads `SHOP_FAILPOINT=<name>[:<nth>]`: at the nth pass (the first by default) of that point the process gets SIGKILL.
pub(crate) fn arm() -> fail::FailScenario<'static> {
    let scenario = fail::FailScenario::setup();
    let Ok(wanted) = std::env::var("SHOP_FAILPOINT") else { return scenario };
    let (name, nth) =
        wanted.rsplit_once(':').map_or((wanted.as_str(), 1), |(name, nth)| (name, nth.parse().unwrap_or(1)));
    let passes = AtomicU64::new(0);
    let armed = fail::cfg_callback(name, move || {
        if passes.fetch_add(1, Ordering::Relaxed) + 1 == nth {
            let _never_returns =
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            // The signal is on its way; nothing after the failpoint may run before it arrives.
            loop {
                std::thread::park();
            }
        }
    });
    if let Err(error) = armed {
        tracing::error!(failpoint = name, error, "the failpoint can't be armed");
    }
    scenario
}
