//! What operators see of a pool: ejections, retries and open connections, by upstream service.

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, UpDownCounter},
};

pub(crate) struct Metrics {
    ejections: Counter<u64>,
    retries: Counter<u64>,
    connections: UpDownCounter<i64>,
    service: &'static str,
}

impl Metrics {
    pub(crate) fn new(service: &'static str) -> Self {
        let meter = global::meter("shop");
        Self {
            ejections: meter
                .u64_counter("shop.upstream.ejections")
                .with_description("Instances taken out of a pool because they refused, broke off or timed out")
                .build(),
            retries: meter
                .u64_counter("shop.upstream.retries")
                .with_description("Calls sent a second time, and those not sent because the budget was spent")
                .build(),
            connections: meter
                .i64_up_down_counter("shop.upstream.connections")
                .with_description("Open connections to a service's instances")
                .build(),
            service,
        }
    }

    pub(crate) fn ejected(&self, cause: &'static str) {
        self.ejections.add(1, &[self.upstream(), KeyValue::new("cause", cause)]);
    }

    pub(crate) fn retried(&self) {
        self.retries.add(1, &[self.upstream(), KeyValue::new("outcome", "sent")]);
    }

    pub(crate) fn repeated(&self) {
        self.retries.add(1, &[self.upstream(), KeyValue::new("outcome", "refused_unread")]);
    }

    pub(crate) fn retry_unaffordable(&self) {
        self.retries.add(1, &[self.upstream(), KeyValue::new("outcome", "over_budget")]);
    }

    pub(crate) fn connected(&self) {
        self.connections.add(1, &[self.upstream()]);
    }

    pub(crate) fn disconnected(&self) {
        self.connections.add(-1, &[self.upstream()]);
    }

    fn upstream(&self) -> KeyValue {
        KeyValue::new("upstream", self.service)
    }
}
