//! What operators see of the operator.

use std::{collections::HashMap, sync::Arc, time::Duration};

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram},
};
use parking_lot::Mutex;

use crate::{controller::Pulse, shop::Phase};

/// Seconds; a run without changes takes some ten milliseconds, one that waits for time-outs half a minute.
const DURATION_BUCKETS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// All phases, for a gauge that names each.
const PHASES: [Phase; 7] = [
    Phase::Pending,
    Phase::Migrating,
    Phase::RollingOut,
    Phase::Ready,
    Phase::Degraded,
    Phase::Paused,
    Phase::Deleting,
];

/// The instruments.
#[derive(Debug, Clone)]
pub struct Metrics {
    reconciles: Counter<u64>,
    errors: Counter<u64>,
    durations: Histogram<f64>,
    consul: Counter<u64>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    phases: HashMap<String, Phase>,
    leads: bool,
}

impl Metrics {
    /// Registers them; `pulse` is that of the watches.
    pub fn new(pulse: &Pulse) -> Self {
        let meter = global::meter("shop");
        let state = Arc::<Mutex<State>>::default();
        meter
            .u64_observable_gauge("shop.operator.shops")
            .with_description("Shops by phase")
            .with_callback({
                let state = Arc::clone(&state);
                move |observer| {
                    let state = state.lock();
                    for phase in PHASES {
                        let count = state.phases.values().filter(|of| **of == phase).count();
                        observer.observe(count as u64, &[KeyValue::new("phase", format!("{phase:?}"))]);
                    }
                }
            })
            .build();
        meter
            .u64_observable_gauge("shop.operator.leader")
            .with_description("Whether this instance is the one that acts")
            .with_callback({
                let state = Arc::clone(&state);
                move |observer| observer.observe(state.lock().leads.into(), &[])
            })
            .build();
        meter
            .f64_observable_gauge("shop.operator.watch.age")
            .with_unit("s")
            .with_description("Time since the watch that has been silent for longest showed a sign of life")
            .with_callback({
                let pulse = pulse.clone();
                move |observer| {
                    if let Some((kind, age)) = pulse.oldest() {
                        observer.observe(age.as_secs_f64(), &[KeyValue::new("kind", kind.name())]);
                    }
                }
            })
            .build();
        Self {
            reconciles: meter
                .u64_counter("shop.operator.reconciles")
                .with_description("Reconciliations, by what came of them")
                .build(),
            errors: meter
                .u64_counter("shop.operator.errors")
                .with_description("What went wrong in reconciliations, by kind")
                .build(),
            durations: meter
                .f64_histogram("shop.operator.reconcile.duration")
                .with_unit("s")
                .with_description("What reconciliations take")
                .with_boundaries(DURATION_BUCKETS.to_vec())
                .build(),
            consul: meter
                .u64_counter("shop.operator.consul.syncs")
                .with_description("Writes to Consul and looks at it, by what came of them")
                .build(),
            state,
        }
    }

    pub(crate) fn reconciled(&self, well: bool, took: Duration) {
        let outcome = if well { "ok" } else { "error" };
        self.reconciles.add(1, &[KeyValue::new("outcome", outcome)]);
        self.durations.record(took.as_secs_f64(), &[]);
    }

    pub(crate) fn failed(&self, kind: &'static str) {
        self.errors.add(1, &[KeyValue::new("kind", kind)]);
    }

    pub(crate) fn synced(&self, what: &'static str, well: bool) {
        let outcome = if well { "ok" } else { "error" };
        self.consul.add(1, &[KeyValue::new("what", what), KeyValue::new("outcome", outcome)]);
    }

    pub(crate) fn phase(&self, shop: &str, phase: Option<Phase>) {
        let mut state = self.state.lock();
        match phase {
            Some(phase) => drop(state.phases.insert(shop.to_owned(), phase)),
            None => drop(state.phases.remove(shop)),
        }
    }

    pub(crate) fn leads(&self, leads: bool) {
        let mut state = self.state.lock();
        state.leads = leads;
        if !leads {
            state.phases.clear();
        }
    }
}
