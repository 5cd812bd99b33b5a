//! A server that stalls can't hide it: what was due meanwhile counts with the time it waited, or as dropped.

use std::{sync::Arc, time::Duration};

use shop_bench::load::{Load, Mix, Operation, Plan};
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep_until},
};

use crate::{fake_shop::FakeShop, plan};

/// When the server stalls after its first request of the load, and for how long.
const STALLS_AFTER: Duration = Duration::from_millis(500);
const STALL: Duration = Duration::from_secs(1);
const RATE: f64 = 200.0;
const DURATION: Duration = Duration::from_secs(2);

/// A server that answers at once, except that it holds back what arrives during one stall until the stall is over.
async fn stalling() -> FakeShop {
    let begun: Arc<OnceCell<Instant>> = Arc::default();
    FakeShop::that(Box::new(move |call| {
        let begun = Arc::clone(&begun);
        Box::pin(async move {
            if call.is_product() {
                let begun = *begun.get_or_init(|| async { Instant::now() }).await;
                let stall = begun + STALLS_AFTER..begun + STALLS_AFTER + STALL;
                if stall.contains(&Instant::now()) {
                    sleep_until(stall.end).await;
                }
            }
            None
        })
    }))
    .await
}

fn product_reads(shop: &FakeShop) -> Plan {
    // One connection: what is due while it is busy has to wait for it, as in the tools that omit such waits.
    let plan = plan(shop, RATE, DURATION);
    Plan { mix: Mix::of([(Operation::Product, 1)]), connections: 1, ..plan }
}

#[tokio::test]
async fn latency_counts_from_the_moment_a_request_was_due() {
    let shop = stalling().await;
    let report = Load::run(Plan { send_within: Duration::from_secs(10), ..product_reads(&shop) }).await.unwrap();
    assert_eq!((report.intended, report.expected, report.dropped), (400, 400, 0), "{report}");
    // Half of all were due during the stall, evenly spread over its second: a quarter waited half a second and more.
    // Were it counted from when each was sent, a single one would have waited at all.
    assert!(report.latency.p90_ms > 600.0, "{report}");
    assert!(report.service.p95_ms < 300.0, "{report}");
    assert!(report.service.max_ms > 800.0, "{report}");
    let worst = report.timeline.iter().map(|second| second.max_ms).fold(0.0, f64::max);
    assert!(worst > 800.0, "{report}");
}

#[tokio::test]
async fn what_cant_be_sent_in_time_is_dropped_and_never_sent() {
    let shop = stalling().await;
    let send_within = Duration::from_millis(200);
    let report = Load::run(Plan { send_within, ..product_reads(&shop) }).await.unwrap();
    assert_eq!(report.intended, report.expected + report.dropped, "{report}");
    // Of the 200 due during the stall, the one that was sent and the 40 of its last 200 ms got through.
    assert!((120..=200).contains(&report.dropped), "{report}");
    assert_eq!(shop.product_calls() as u64, report.expected, "{report}");
    assert!((report.error_rate() * 400.0 - f64::from(u32::try_from(report.dropped).unwrap())).abs() < 1e-6, "{report}");
    let row = report.answers.iter().find(|row| row.code == "NOT_SENT_IN_TIME").unwrap();
    assert_eq!((row.count, row.expected), (report.dropped, false));
}

#[tokio::test]
async fn requests_under_way_are_bounded() {
    let shop = stalling().await;
    let report = Load::run(Plan { outstanding: 4, connections: 64, ..product_reads(&shop) }).await.unwrap();
    assert!(shop.most_in_flight() <= 4, "{} at once", shop.most_in_flight());
    assert!((150..=200).contains(&report.dropped), "{report}");
    assert!(report.answers.iter().any(|row| row.code == "TOO_MANY_OUTSTANDING"), "{report}");
}
