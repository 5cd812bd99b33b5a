//! What an operator sees of the orders.

use std::time::Duration;

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram, UpDownCounter},
};

use crate::domain::{Order, Reason, Step};

/// The service's instruments.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    settled: Counter<u64>,
    step_duration: Histogram<f64>,
    step_failures: Counter<u64>,
    unsettled_age: Gauge<f64>,
    outbox_age: Gauge<f64>,
    events: Counter<u64>,
    notices: Counter<u64>,
    paid_without_stock: Counter<u64>,
    watches: UpDownCounter<i64>,
}

/// An order is watched while this lives.
#[derive(Debug)]
pub(crate) struct Watching(UpDownCounter<i64>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.add(-1, &[]);
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = opentelemetry::global::meter("shop");
        Self {
            settled: meter
                .u64_counter("shop.order.transitions")
                .with_description("Changes of orders' status, by the new one and its reason.")
                .build(),
            step_duration: meter
                .f64_histogram("shop.order.saga.step.duration")
                .with_unit("s")
                .with_description("From taking a step to its outcome, by step and outcome.")
                .build(),
            step_failures: meter
                .u64_counter("shop.order.saga.step.failures")
                .with_description("Attempts at a step that failed and are repeated, by step.")
                .build(),
            unsettled_age: meter
                .f64_gauge("shop.order.saga.oldest.age")
                .with_unit("s")
                .with_description("Age of the step that is outstanding for longest; 0 when none is.")
                .build(),
            outbox_age: meter
                .f64_gauge("shop.order.outbox.oldest.age")
                .with_unit("s")
                .with_description("Age of the oldest event that was not sent; 0 when there is none.")
                .build(),
            events: meter
                .u64_counter("shop.order.events")
                .with_description("Attempts to send events, by result.")
                .build(),
            notices: meter
                .u64_counter("shop.order.payment.notices")
                .with_description("Notices of the payment provider that were stored, by what became of them.")
                .build(),
            paid_without_stock: meter
                .u64_counter("shop.order.paid_without_stock")
                .with_description("Paid orders that were cancelled because their stock was gone. Each is an incident.")
                .build(),
            watches: meter
                .i64_up_down_counter("shop.order.watches")
                .with_description("Streams that watch an order.")
                .build(),
        }
    }

    /// An order got a new status.
    pub(crate) fn moved(&self, order: &Order) {
        let reason = order.reason.map_or("", Reason::as_str);
        self.settled.add(1, &[KeyValue::new("status", order.status.as_str()), KeyValue::new("reason", reason)]);
    }

    pub(crate) fn watching(&self) -> Watching {
        self.watches.add(1, &[]);
        Watching(self.watches.clone())
    }

    pub(crate) fn step_done(&self, step: Step, outcome: &'static str, took: Duration) {
        let labels = [KeyValue::new("step", step.as_str()), KeyValue::new("outcome", outcome)];
        self.step_duration.record(took.as_secs_f64(), &labels);
    }

    pub(crate) fn step_failed(&self, step: Step) {
        self.step_failures.add(1, &[KeyValue::new("step", step.as_str())]);
    }

    pub(crate) fn ages(&self, unsettled: Duration, outbox: Duration) {
        self.unsettled_age.record(unsettled.as_secs_f64(), &[]);
        self.outbox_age.record(outbox.as_secs_f64(), &[]);
    }

    pub(crate) fn event(&self, result: &'static str) {
        self.events.add(1, &[KeyValue::new("result", result)]);
    }

    pub(crate) fn notice(&self, outcome: &'static str) {
        self.notices.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    pub(crate) fn paid_without_stock(&self) {
        self.paid_without_stock.add(1, &[]);
    }
}
